# SPDX-License-Identifier: Apache-2.0

"""Claiming a record of the target to upload to, whatever is there."""

import functools
import uuid

import tenacity

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import provenance
from glance_replicate import records
from glance_replicate import store_copies
from glance_replicate import text

BUSY = ('saving', 'importing', 'uploading')
_looks = tenacity.wait_exponential(multiplier=0.2, max=5)
_TELL_AT = 5  # looks, which take three seconds
_NOTICE = 30.0  # seconds until a target notices that an upload broke


class TargetRecords:
    """Creates the records that data is uploaded to, or takes them over.

    :param service: :class:`ImageService` of the target
    :param rules: :class:`Rules`
    :param redo: take over what another machine has not finished
    """

    def __init__(self, service, rules, *, redo):
        self.service = service
        self._rules = rules
        self._redo = redo

    def claim(self, source, found):
        """Return the target's :class:`Image` to upload to.

        It bears the mark of this process and waits for data; or it already
        has the right data, as far as the hashes of its record tell.

        :param source: :class:`Image` to copy, with the hashes that are known
        :param found: what an earlier run has left of it, or None
        """
        if found is None:
            return self._create(source)
        self.check_left_alone(found)
        # Uploads of this process were waited for at their end.
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
        """Delete an unfinished copy, but not the key of the original."""
        record = self.service.image(image_id)
        if record is not None:
            records.update(
                self.service, records.of_api(record),
                records.without_key_policies,
            )
            self.service.delete(image_id)

    def settled(self, image_id, for_long=False):
        """Return the target's :class:`Image` once it is not busy any more.

        :param for_long: the target may have all bytes: wait for as long as
            the user allows
        :returns: None if it is gone; the busy one when the time is up
        """
        retries = self.service.retries
        seconds = retries.timeout if for_long else _NOTICE

        def tell(state):
            if state.attempt_number == _TELL_AT:
                retries.say(
                    f'{self.service.name}: image {image_id} is '
                    f'{state.outcome.result()["status"]}; waiting for up to '
                    f'{text.seconds(seconds)}'
                )

        record = tenacity.Retrying(
            retry=tenacity.retry_if_result(_is_busy),
            wait=_looks,
            stop=lambda state: state.idle_for >= seconds,
            sleep=retries.cancel.wait,
            before_sleep=tell,
            retry_error_callback=lambda state: state.outcome.result(),
        )(self.service.image, image_id)
        return record and records.of_api(record)

    def release(self, image_id):
        """Delete a record that has no data, and that nobody uploads to."""
        found = self.settled(image_id)
        if found and found.status == 'queued' and _is_free(found.mark):
            self.discard(image_id)

    def check_left_alone(self, found):
        """Raise if another process may still be at work on a record.

        :raises: :class:`ReplicatorError`
        """
        mark = found.mark
        if _is_free(mark):
            return
        if mark.is_local:
            raise errors.ReplicatorError(
                f'process {mark.pid} on this machine is copying it'
            )
        if not self._redo:
            raise errors.ReplicatorError(
                f'process {mark.pid} on the machine {mark.host} is copying '
                f'it, or ended before it was done; if it has ended, add '
                f'--redo-unfinished'
            )

    def _take_over(self, source, found):
        """Bring a record up to date, as if it was created now."""
        wanted = self._wanted(source)
        return records.update(
            self.service, found,
            lambda image: records.changes(wanted, image, finished=False),
        )

    def _create(self, source):
        record = records.as_json({
            name: value for name, value in self._wanted(source).items()
            if value is not None or name not in records.OWN
        })
        for more in ({'id': source.id}, {
            'id': str(uuid.uuid4()), provenance.SOURCE: source.id,
        }):
            try:
                return records.of_api(
                    self.service.create({**record, **more})
                )
            except errors.Refused as exc:
                if exc.status != 409:
                    raise
                refused = exc
            # The answer to the same request may have been lost before. Else
            # the id was used before, or is that of an image out of sight.
            found = self.service.image(more['id'])
            if found is not None:
                return self._appeared(source, records.of_api(found))
        raise refused

    def _appeared(self, source, found):
        """Return what somebody has created meanwhile, if it fits."""
        if found.mark is not None:
            self.check_left_alone(found)
            if found.status == 'queued':
                return self._take_over(source, found)
        if comparing.same_data(source, found):
            return found
        raise errors.ReplicatorError(
            f'another image with this id has just appeared on '
            f'{self.service.name}'
        )

    def _wanted(self, source):
        """Return the fields of a record until its data is complete."""
        wanted = {
            name: value
            for name, value in records.wanted(source, self._rules).items()
            # Until then no key may be deleted with it.
            if name not in records.KEY_POLICIES and (
                value is not None or name in records.OWN
                or self._takes_empty(name)
            )
        }
        return {
            # Nobody else is to see it before.
            **wanted, 'visibility': 'private', 'protected': False,
            provenance.UNFINISHED: str(provenance.new(source.id)),
        }

    def _takes_empty(self, name):
        """True if the schema of the target lets a property have no value."""
        known = self._schema.get('properties', {})
        kind = known.get(name, self._schema.get('additionalProperties'))
        return isinstance(kind, dict) and 'null' in kind.get('type', ())

    @functools.cached_property
    def _schema(self):
        return self.service.schema()


def _is_free(mark):
    """True if no other process can be at work on a record with this mark."""
    return mark.is_ours or not mark.may_be_alive()


def _is_busy(record):
    """True if the target is at work on a record."""
    return record is not None and (
        record['status'] in BUSY or store_copies.LOCK in record
    )
