# SPDX-License-Identifier: Apache-2.0

"""A record on the target that is ours to fill, whatever was there before."""

import dataclasses
import functools
import uuid

import tenacity

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import following
from glance_replicate import keys
from glance_replicate import provenance
from glance_replicate import records
from glance_replicate import text
from glance_replicate import updating

BUSY = ('saving', 'importing', 'uploading')
_looks = tenacity.wait_exponential(multiplier=0.2, max=5)
_TELL_AT = 5  # looks, which are three seconds
_NOTICE = 30.0  # seconds until a target knows that an upload has broken


class TargetRecords:
    """Makes and takes over the records that data is brought into.

    :param service: :class:`ImageService` of the target
    :param rules: :class:`Rules`
    :param redo: take over what another machine has not finished
    """

    def __init__(self, service, rules, *, redo):
        self._service = service
        self._rules = rules
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
        self.check_left_alone(found)
        # What this process has sent was waited for then.
        found = self.settled(found.id, for_long=not found.mark.is_ours)
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
        record = self._service.image(image_id)
        if record is not None:
            updating.apply(
                self._service, records.of_api(record), _without_policies
            )
            self._service.delete(image_id)

    def settled(self, image_id, for_long=False):
        """Return the target's :class:`Image` once nothing is written to it.

        :param for_long: the target may have all bytes, and need its time
        :returns: None if it is gone; it as it is when the time is up
        """
        retries = self._service.retries
        seconds = retries.timeout if for_long else _NOTICE

        def tell(state):
            if state.attempt_number == _TELL_AT:
                retries.say(
                    f'{self._service.name} is at work on {image_id}, which is '
                    f'{state.outcome.result()["status"]}; its end is waited '
                    f'for, for up to {text.seconds(seconds)}'
                )

        record = tenacity.Retrying(
            retry=tenacity.retry_if_result(_is_busy),
            wait=_looks,
            stop=lambda state: state.idle_for >= seconds,
            sleep=retries.cancel.wait,
            before_sleep=tell,
            retry_error_callback=lambda state: state.outcome.result(),
        )(self._service.image, image_id)
        return record and records.of_api(record)

    def release(self, image_id):
        """Remove a record that nothing was brought into, nor will be."""
        found = self.settled(image_id)
        if found and found.status == 'queued' and _is_free(found.mark):
            self.discard(image_id)

    def check_left_alone(self, found):
        """Raise if another process may still be at work on a record."""
        mark = found.mark
        if _is_free(mark):
            return
        here = mark.host == provenance.new('').host
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
        """Make a record what a new one would be, as it may be of old times."""
        return updating.update(
            self._service, found, self._wanted(source), finished=False
        )

    def _create(self, source):
        wanted = self._wanted(source)
        record = {
            **{k: v for k, v in wanted.base.items() if v is not None},
            **wanted.properties, 'tags': sorted(wanted.tags),
        }
        try:
            return self._make(source, {**record, 'id': source.id})
        except errors.Refused as exc:
            if exc.status != 409:
                raise
        # The id was used before, or belongs to an image out of sight.
        return self._make(source, {
            **record, 'id': str(uuid.uuid4()), provenance.SOURCE: source.id,
        })

    def _make(self, source, record):
        """Make a record, unless it was made by a request without answer."""
        try:
            return records.of_api(self._service.create(record))
        except errors.Refused as exc:
            if exc.status != 409:
                raise
            found = self._service.image(record['id'])
            if found is None:
                raise
        return self._appeared(source, records.of_api(found))

    def _appeared(self, source, found):
        """Return what somebody has made meanwhile, if it is the image."""
        if found.mark is not None:
            self.check_left_alone(found)
            if found.status == 'queued':
                return self._take_over(source, found)
        if comparing.same_data(source, found):
            return found
        raise errors.ReplicatorError(
            f'another image with this id has just appeared on '
            f'{self._service.name}'
        )

    def _wanted(self, source):
        """Return what a record has to be until its image is whole."""
        wanted = records.wanted(source, self._rules)
        return dataclasses.replace(
            wanted,
            # Nobody else is to see it before.
            base={**wanted.base, 'visibility': 'private', 'protected': False},
            properties={
                # Who owns a key is said last, when nothing deletes it any
                # more.
                **{k: v for k, v in wanted.properties.items()
                   if not keys.are_owned_by(k)
                   and (v is not None or self._takes_empty(k))},
                provenance.UNFINISHED: str(provenance.new(source.id)),
            },
        )

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


def _without_policies(image):
    """Return the JSON patch that lets an image own no key."""
    return [
        {'op': 'remove', 'path': records.pointer(name)}
        for name in image.properties if keys.are_owned_by(name)
    ]


def _is_free(mark):
    """True if no other process can be at work on a record with this mark."""
    return mark.is_ours or not mark.may_be_alive()


def _is_busy(record):
    """True if the target is at work on a record."""
    return record is not None and (
        record['status'] in BUSY or following.LOCK in record
    )
