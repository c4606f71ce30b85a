# SPDX-License-Identifier: Apache-2.0

"""Putting one image on a target: sent, verified, completed."""

import dataclasses

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import filling
from glance_replicate import records
from glance_replicate import remarks
from glance_replicate import results
from glance_replicate import updating


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to do about each image.

    :param members: share copies with the projects of the same ids too
    :param metadata_only: copy no image, only update those that are there
    :param dry_run: change nothing
    :param stores: stores of the target that images have to be in
    """

    members: bool = False
    metadata_only: bool = False
    dry_run: bool = False
    stores: tuple = ()


class Putter:
    """Puts images on a target. Safe to use from any thread.

    :param service: :class:`ImageService` of the target
    :param index: :class:`Index` of what is there
    :param rules: :class:`Rules`
    :param sender: :class:`Sender`
    """

    def __init__(self, *, service, index, rules, options, sender):
        self._service = service
        self._index = index
        self._rules = rules
        self._options = options
        self._sender = sender

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
        lacking = []
        if not self._options.metadata_only:
            lacking = found.lacks(self._options.stores)
        fields.extend(comparing.STORE + name for name in lacking)
        if fields and not self._options.dry_run:
            # Anybody may have made what no hash tells from the source.
            image = self._sender.known(item, image, found)
            self._check_same(image, found)
        what = results.UPDATED if fields else results.SAME
        if fields and self._options.dry_run:
            what = results.WOULD_UPDATE
        elif fields:
            self._complete(wanted, found, projects)
            self._fill(found, lacking)
        return self._result(
            what, image, found, size=(image.size or 0) * len(lacking),
            detail=remarks.join(
                ', '.join(fields), remarks.of_names(differing),
                remarks.of_unknown(image, found),
            ),
        )

    def _check_same(self, image, found):
        if comparing.same_data(image, found) is False:
            raise errors.ReplicatorError(
                f'{self._service.name} has another image with this id, '
                f'{_why_another(found)}; it was left alone'
            )

    def _copy(self, item, image, found):
        target, sent = self._sender.send(item, image, found)
        try:
            latest = item.refresh()
        except errors.Vanished:
            self._sender.claims.discard(target.id)
            raise
        wanted = records.wanted(latest, self._rules)
        self._complete(
            wanted, target, self._missing_members(item, latest, target)
        )
        self._fill(target, target.lacks(self._options.stores))
        return self._result(
            results.COPIED, latest, target, size=target.size or 0,
            detail=remarks.join(
                remarks.of_source(latest),
                remarks.of_empty(wanted, target, self._service),
                remarks.of_unknown(sent, target),
            ),
        )

    def _fill(self, target, stores):
        """Have the target copy an image of its own into further stores."""
        if not stores:
            return
        filler = filling.Filler(
            service=self._service, stores=tuple(stores),
            cancel=self._service.retries.cancel,
        )
        result = filler.fill(target)
        if result.what == results.VANISHED:
            raise errors.ReplicatorError(
                f'the copy cannot be brought into {", ".join(stores)}: '
                f'{result.detail} on {self._service.name}'
            )

    def _missing_members(self, item, image, target):
        """Return the projects that a copy has to be shared with yet."""
        shared = {image.base['visibility'], self._rules.visibility or 'shared'}
        if not self._options.members or shared != {'shared'}:
            return []
        there = set()
        if target.base['visibility'] == 'shared':
            # Glance refuses to tell of those of any other image.
            there = self._service.members(target.id)
        return sorted(item.members() - there)

    def _complete(self, wanted, found, projects):
        self._change(wanted, found)
        for project in projects:
            self._service.add_member(found.id, project)

    def _change(self, wanted, found):
        try:
            updating.update(self._service, found, wanted)
        except errors.Refused as exc:
            new = wanted.base['visibility']
            if exc.status != 403 or new == found.base['visibility']:
                raise
            raise errors.Refused(
                f'{exc}; if you may not make it {new}, run this again with '
                f'--set-visibility private', exc.status
            ) from None

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
