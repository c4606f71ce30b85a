# SPDX-License-Identifier: Apache-2.0

"""Putting one image on a target: claimed, filled, verified, completed."""

import dataclasses
import functools

from glance_copy_plugin.replicator import comparing
from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import following
from glance_copy_plugin.replicator import records
from glance_copy_plugin.replicator import remarks
from glance_copy_plugin.replicator import results

_PASSING = (409, 429, 500, 502, 503, 504)
_PAUSE = 0.5  # seconds; twice as long each time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to do about each image.

    :param members: share copies with the projects of the same ids too
    :param metadata_only: copy no image, only update those that are there
    :param dry_run: change nothing
    :param stores: further stores of the target
    :param attempts: how often data is sent
    """

    members: bool = False
    metadata_only: bool = False
    dry_run: bool = False
    stores: tuple = ()
    attempts: int = 3


class Putter:
    """Puts images on a target. Safe to use from any thread.

    :param service: :class:`ImageService` of the target
    :param index: :class:`Index` of what is there
    :param rules: :class:`Rules`
    :param claims: :class:`Claims`
    :param delivery: :class:`Delivery`
    :param display: :class:`Display`
    :param cancel: :class:`CancelToken`
    """

    def __init__(
        self, *, service, index, rules, options, claims, delivery, display,
        cancel,
    ):
        self._service = service
        self._index = index
        self._rules = rules
        self._options = options
        self._claims = claims
        self._delivery = delivery
        self._display = display
        self._cancel = cancel

    def put(self, item):
        """Make the target have this :class:`Item`; return the result."""
        try:
            image = item.refresh()
        except errors.Vanished as exc:
            return self._result(results.VANISHED, item.image, detail=str(exc))
        found = self._fresh(self._index.find(image))
        if found is not None and found.mark is None:
            return self._update(item, image, found)
        if self._options.metadata_only:
            return self._result(
                results.SAME, image,
                detail=f'not on {self._service.name}, and not copied',
            )
        if self._options.dry_run:
            return self._result(
                results.WOULD_COPY, image, size=image.size or 0,
                detail=remarks.of_source(image),
            )
        try:
            return self._copy(item, image, found)
        except errors.Vanished as exc:
            return self._result(results.VANISHED, image, detail=str(exc))

    def _fresh(self, found):
        """Read again what was read when the run began."""
        record = found and self._service.image(found.id)
        return record and records.of_api(record)

    def _update(self, item, image, found):
        """Bring the record of a copy that has its data up to date."""
        self._check_same(image, found)
        wanted = records.wanted(image, self._rules)
        differing = records.differing(wanted, found)
        fields = [name for name in differing if records.can_change(name)]
        projects = self._missing_members(item, image, found)
        if projects:
            fields.append('members')
        if fields and not self._options.dry_run:
            # Anybody may have made what no hash tells from the source.
            image = self._known(item, image, found)
            self._check_same(image, found)
        detail = remarks.join(
            ', '.join(fields), remarks.of_names(differing),
            remarks.of_unknown(image, found),
        )
        what = results.UPDATED if fields else results.SAME
        if fields and self._options.dry_run:
            what = results.WOULD_UPDATE
        elif fields:
            self._complete(wanted, found, projects)
        return self._result(what, image, found, detail=detail)

    def _check_same(self, image, found):
        if comparing.same_data(image, found) is False:
            raise errors.ReplicatorError(
                f'{self._service.name} has another image with this id, '
                f'{_why_another(found)}; it was left alone'
            )

    def _copy(self, item, image, found):
        item.prepare()
        target, sent = self._filled(item, image, found)
        try:
            latest = item.refresh()
        except errors.Vanished:
            self._claims.discard(target.id)
            raise
        self._fill_stores(target)
        target = records.of_api(self._service.image(target.id))
        wanted = records.wanted(latest, self._rules)
        self._complete(
            wanted, target, self._missing_members(item, latest, target)
        )
        return self._result(
            results.COPIED, latest, target, size=target.size or 0,
            detail=remarks.join(
                remarks.of_source(latest),
                remarks.of_empty(wanted, target, self._service),
                remarks.of_unknown(sent, target),
            ),
        )

    def _filled(self, item, image, found):
        """Return a record of the target that has the right data.

        :returns: and the :class:`Image` with all that is known of these
        """
        problem, sent = None, image
        for attempt in range(self._options.attempts):
            try:
                target = self._claims.claim(sent, found)
                if target.status == 'queued':
                    sent, problem = self._deliver(item, image, target)
                    target = self._claims.settled(target.id)
                sent = self._known(item, sent, target)
                if target and comparing.same_data(sent, target) is not False:
                    return target, sent
                found = target
            except errors.Unreachable as exc:
                problem = exc
            except errors.Refused as exc:
                if exc.status not in _PASSING:
                    raise
                problem = exc
            self._cancel.wait(_PAUSE * 2 ** attempt)
        raise problem or errors.WrongData(
            f'the bytes that arrived on {self._service.name} are others, '
            f'each of {self._options.attempts} times'
        )

    def _deliver(self, item, image, target):
        """Bring the data.

        :returns: the :class:`Image` with all that is known of what was sent,
            and what went wrong, if it is worth repeating
        """
        self._display.begin(image.id, image.name, image.size or 0)
        count = functools.partial(self._display.advance, image.id)
        try:
            return self._delivery.deliver(item, image, target, count), None
        except (errors.Unreachable, errors.WrongData) as exc:
            return image, exc
        except errors.Refused as exc:
            self._check_still_there(item, target)
            if exc.status not in _PASSING:
                raise
            return image, exc

    def _known(self, item, image, target):
        """Return the :class:`Image` with the hashes of its bytes, read here.

        Only if its own hashes do not tell if the target has these bytes.
        """
        if (
            target is None or image.computed
            or comparing.same_data(image, target) is not None
        ):
            return image
        return self._delivery.read(item, image)

    def _check_still_there(self, item, target):
        """Clean up and raise if the image was taken away while it was read."""
        try:
            item.refresh()
        except errors.Vanished:
            self._claims.discard(target.id)
            raise

    def _fill_stores(self, target):
        """Have the target copy the image into its further stores."""
        stores = [
            name for name in self._options.stores if name not in target.stores
        ]
        if not stores:
            return
        self._service.copy(target.id, stores)
        seen = following.follow(
            self._service, target.id, self._cancel, lambda _seen: None
        )
        lacking = following.missing(seen, stores)
        if lacking:
            raise errors.ReplicatorError(
                f'it was not copied to {", ".join(lacking)}: {seen.message}'
            )

    def _missing_members(self, item, image, target):
        """Return the projects that a copy has to be shared with yet."""
        if not self._options.members or image.base['visibility'] != 'shared':
            return []
        there = set()
        if target.base['visibility'] == 'shared':
            # Glance refuses to tell of those of any other image.
            there = self._service.members(target.id)
        return sorted(item.members() - there)

    def _complete(self, wanted, found, projects):
        changes = records.changes(wanted, found)
        if changes:
            self._service.patch(found.id, changes)
        for project in projects:
            self._service.add_member(found.id, project)

    @staticmethod
    def _result(what, image, target=None, **more):
        other = target is not None and target.id != image.id
        return results.Result(
            what=what, image_id=image.id, name=image.name,
            copy_id=target.id if other else '', **more,
        )


def _why_another(found):
    if found.status != 'active':
        return f'which is {found.status}'
    return 'whose data is other'
