# SPDX-License-Identifier: Apache-2.0

"""A record on the target that is ours to fill, whatever was there before."""

import functools
import time

from glance_copy_plugin.replicator import comparing
from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import following
from glance_copy_plugin.replicator import keys
from glance_copy_plugin.replicator import marks
from glance_copy_plugin.replicator import records

_BUSY = ('saving', 'importing', 'uploading')
_LOOK = 0.2


class Claims:
    """Makes and takes over the records that data is brought into.

    :param service: :class:`ImageService` of the target
    :param rules: :class:`Rules`
    :param cancel: :class:`CancelToken`
    :param patience: seconds that the target gets to notice that a process
        has died in the middle of an upload
    :param redo: take over what another machine has not finished
    """

    def __init__(self, service, rules, cancel, *, patience, redo):
        self._service = service
        self._rules = rules
        self._cancel = cancel
        self._patience = patience
        self._redo = redo

    def claim(self, source, found):
        """Return the target's :class:`Image` to bring the data into.

        It bears the mark of this process and waits for data; or it has the
        right data already, unless no hash of its record tells.

        :param source: :class:`Image` to copy, with all that is known of it
        :param found: what an earlier run has left of it, or None
        """
        if found is None:
            return self._create(source)
        self._check_left_alone(found)
        found = self.settled(found.id)
        if found is None:
            return self._create(source)
        if comparing.same_data(source, found) is not False:
            return found
        if found.status == 'queued':
            return self._take_over(source, found)
        # It cannot be filled a second time.
        self.discard(found.id)
        return self._create(source)

    def discard(self, image_id):
        """Delete a copy that is not finished, but no key together with it.

        The key of an encrypted volume is that of the original.
        """
        record = self._service.image(image_id) or {}
        policies = [
            {'op': 'remove', 'path': records.pointer(name)}
            for name in record if keys.are_owned_by(name)
        ]
        if policies:
            self._service.patch(image_id, policies)
        self._service.delete(image_id)

    def settled(self, image_id):
        """Return the target's :class:`Image` once nothing is written to it.

        :returns: None if it is gone; it as it is when the time is up
        """
        ends = time.monotonic() + self._patience
        while True:
            record = self._service.image(image_id)
            if record is None:
                return None
            image = records.of_api(record)
            busy = image.status in _BUSY or following.LOCK in record
            if not busy or time.monotonic() > ends:
                return image
            self._cancel.wait(_LOOK)

    def _check_left_alone(self, found):
        """Raise if another process may still be at work on a record."""
        mark = found.mark
        if mark.is_ours or not mark.may_be_alive():
            return
        here = mark.host == marks.new('').host
        if here:
            raise errors.ReplicatorError(
                f'process {mark.pid} of this machine is copying it'
            )
        if not self._redo:
            raise errors.ReplicatorError(
                f'process {mark.pid} of the machine {mark.host} is copying '
                f'it, or was ended before it was done; if that is so, add '
                f'--redo-unfinished'
            )

    def _take_over(self, source, found):
        return records.of_api(self._service.patch(found.id, [{
            'op': 'replace', 'path': records.pointer(marks.UNFINISHED),
            'value': str(marks.new(source.id)),
        }]))

    def _create(self, source):
        record = self._record(source)
        try:
            made = self._service.create({**record, 'id': source.id})
        except errors.Refused as exc:
            if exc.status != 409:
                raise
            appeared = self._service.image(source.id)
            if appeared is not None:
                return self._appeared(source, records.of_api(appeared))
            # The id was used before, or belongs to an image out of sight.
            made = self._service.create({**record, marks.SOURCE: source.id})
        return records.of_api(made)

    def _appeared(self, source, found):
        """Return what somebody has made meanwhile, if it is the image."""
        if found.mark is not None:
            self._check_left_alone(found)
            if found.status == 'queued':
                return self._take_over(source, found)
        if comparing.same_data(source, found):
            return found
        raise errors.ReplicatorError(
            f'another image with this id has just appeared on '
            f'{self._service.name}'
        )

    def _record(self, source):
        wanted = records.wanted(source, self._rules)
        return {
            **{k: v for k, v in wanted.base.items() if v is not None},
            # Who owns a key is said last, when nothing deletes it any more.
            **{k: v for k, v in wanted.properties.items()
               if not keys.are_owned_by(k)
               and (v is not None or self._takes_empty(k))},
            'tags': sorted(wanted.tags),
            # Nobody else is to see it before it is whole.
            'visibility': 'private',
            'protected': False,
            marks.UNFINISHED: str(marks.new(source.id)),
        }

    def _takes_empty(self, name):
        """True if the schema of the target lets a property have no value."""
        known = self._schema.get('properties', {})
        kind = known.get(name, self._schema.get('additionalProperties'))
        return isinstance(kind, dict) and 'null' in kind.get('type', ())

    @functools.cached_property
    def _schema(self):
        try:
            return self._service.schema()
        except errors.Refused:
            # Who tells of no schema is not known to take more than texts.
            return {}
