# SPDX-License-Identifier: Apache-2.0

"""Putting one image on a target: sent, verified, completed."""

import dataclasses

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import results
from glance_replicate import sending
from glance_replicate import store_copies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Putter:
    """Puts images on a target. Safe to use from any thread.

    :param service: :class:`ImageService` of the target
    :param index: :class:`Index` of the target's images
    :param rules: :class:`Rules`
    :param claims: :class:`TargetRecords`
    :param delivery: :class:`Delivery`
    :param display: :class:`Display`
    :param members: also share copies with the projects of the same ids
    :param metadata_only: copy no image, only update records
    :param dry_run: change nothing
    :param stores: stores of the target that images have to be in
    """

    service: object
    index: object
    rules: object
    claims: object
    delivery: object
    display: object
    members: bool = False
    metadata_only: bool = False
    dry_run: bool = False
    stores: tuple = ()

    def put(self, item):
        """Make the target have this :class:`Item`; return the result."""
        try:
            image = item.refresh()
            found = self._fresh(self.index.find(image))
            if found is not None and found.mark is None:
                return self._update(item, image, found)
            if self.metadata_only:
                return results.of(
                    results.SAME, image,
                    detail=f'not on {self.service.name}; --metadata-only '
                           f'copies no image',
                )
            if self.dry_run:
                return results.of(
                    results.WOULD_COPY, image, image.size, unverifiable(image)
                )
            return self._copy(item, image, found)
        except errors.Vanished as exc:
            return results.of(results.VANISHED, item.image, detail=str(exc))

    def _sending(self, item, image, found):
        return sending.Sending(
            claims=self.claims, delivery=self.delivery, display=self.display,
            item=item, image=image, record=found,
        )

    def _fresh(self, found):
        """Read again what was read when the run began."""
        record = found and self.service.image(found.id)
        return record and records.of_api(record)

    def _update(self, item, image, found):
        """Bring the record of a copy that has its data up to date."""
        self._check_same(image, found)
        wanted = records.wanted(image, self.rules)
        differing = records.differing(wanted, found)
        projects = self._missing_members(item, image, found)
        lacking = []
        if not self.metadata_only:
            lacking = found.lacks(self.stores)
        fields = [
            *filter(records.can_change, differing),
            *(['members'] if projects else []),
            *(comparing.STORE + name for name in lacking),
        ]
        if not fields:
            what = results.SAME
        elif self.dry_run:
            what = results.WOULD_UPDATE
        else:
            what = results.UPDATED
            # If no hash is in common, this image may be anybody's.
            image = self._sending(item, image, found).read_if_unknown()
            self._check_same(image, found)
            self._complete(wanted, found, projects)
            self._copy_to_stores(found, lacking)
        return results.of(
            what, image, (image.size or 0) * len(lacking), _join(
                ', '.join(fields), _unchangeable(differing),
                _unproved(image, found),
            ), found,
        )

    def _check_same(self, image, found):
        if comparing.same_data(image, found) is False:
            how = 'with other data' if found.status == 'active' else (
                f'which is {found.status}'
            )
            raise errors.ReplicatorError(
                f'{self.service.name} has another image with this id, {how}; '
                f'it was not changed'
            )

    def _copy(self, item, image, found):
        sent = self._sending(item, image, found)
        target = sent.send()
        try:
            latest = item.refresh()
        except errors.Vanished:
            self.claims.discard(target.id)
            raise
        wanted = records.wanted(latest, self.rules)
        self._complete(
            wanted, target, self._missing_members(item, latest, target)
        )
        self._copy_to_stores(target, target.lacks(self.stores))
        return results.of(
            results.COPIED, latest, target.size, _join(
                unverifiable(latest), self._left_out(wanted, target),
                _unproved(sent.known, target),
            ), target,
        )

    def _copy_to_stores(self, target, stores):
        """Have the target copy an image into further stores of its own."""
        if not stores:
            return
        result = store_copies.Filler(
            service=self.service, stores=tuple(stores)
        ).fill(target)
        if result.what == results.VANISHED:
            raise errors.ReplicatorError(
                f'not copied to {", ".join(stores)}: {result.detail} on '
                f'{self.service.name}'
            )

    def _missing_members(self, item, image, target):
        """Return the projects that a copy is yet to be shared with."""
        shared = {image.base['visibility'], self.rules.visibility or 'shared'}
        if not self.members or shared != {'shared'}:
            return []
        there = set()
        if target.base['visibility'] == 'shared':
            # Glance refuses to list the members of any other image.
            there = self.service.members(target.id)
        return sorted(item.members() - there)

    def _complete(self, wanted, found, projects):
        """Make a record what is wanted, and share it."""
        try:
            records.update(
                self.service, found,
                lambda image: records.changes(wanted, image),
            )
        except errors.Refused as exc:
            new = wanted['visibility']
            if exc.status != 403 or new == found.base['visibility']:
                raise
            raise errors.Refused(
                f'{exc}; if you may not make it {new}, run this again with '
                f'--set-visibility private', exc.status
            ) from None
        for project in projects:
            self.service.add_member(found.id, project)

    def _left_out(self, wanted, target):
        """Tell which empty properties the target does not accept."""
        names = sorted(
            name for name, value in wanted.items() if value is None
            and name not in records.OWN and name not in target.properties
        )
        if not names:
            return ''
        return (
            f'{self.service.name} accepts no empty value for '
            f'{", ".join(names)}; left out'
        )


def unverifiable(image):
    """Tell what a copy of an image lacks, or what could not be verified."""
    keys = ', '.join(filter(None, map(
        image.properties.get, records.KEY_IDS
    )))
    key = keys and (
        f'its encryption key {keys} is not copied, and is needed to use the '
        f'copy'
    )
    known = ''
    if image.expected_hash[1] is None:
        known = 'it has no hash that this tool can compute'
        known += (
            ' and no size: its data could not be verified'
            if image.size is None else ': only its size could be verified'
        )
    return _join(key, known)


def _join(*sentences):
    return '; '.join(filter(None, sentences))


def _unproved(image, target):
    """Tell if no hash says that two images have the same bytes."""
    if comparing.same_data(image, target) is not None:
        return ''
    return 'no hash in common: only the sizes could be compared'


def _unchangeable(fields):
    """Tell which fields the API cannot change."""
    names = [name for name in fields if not records.can_change(name)]
    if not names:
        return ''
    return (
        f'the API cannot change {", ".join(map(repr, names))}, whose name '
        f'begins or ends with a blank'
    )
