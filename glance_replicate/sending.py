# SPDX-License-Identifier: Apache-2.0

"""Sending the bytes of an image until the target has them, or refuses."""

import contextlib
import dataclasses
import functools
import typing

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import streams
from glance_replicate import target_records
from glance_replicate import text

_UPLOADS = 3  # at most, if the bytes turn out to be wrong
_NO_ROOM = (413, 507)


class Delivery(typing.Protocol):
    """A way for bytes from a source into a record of the target."""

    def prepare(self, item, image):
        """Check that the bytes can be read, before anything is created.

        :raises: :class:`ReplicatorError` if not
        """

    def deliver(self, item, image, record, count):
        """Bring the bytes of an item into a record that waits for data.

        :param image: the item's :class:`Image` as it is now
        :param record: the target's :class:`Image`
        :param count: called with the number of bytes that were moved
        :returns: the :class:`Image` with the hashes of the bytes
        :raises: :class:`Undecided` if the target may still be at work on
            them, else another :class:`ReplicatorError`; nothing is left then
            that the target does not know of
        """

    def read(self, item, image):
        """Return the :class:`Image` with the hashes of all its bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Streaming:
    """Reads from the source and uploads at the same time, without a file.

    :param service: :class:`ImageService` of the target
    :param limit: :class:`BandwidthLimit`
    :param store: of the target; None for its default store
    """

    service: object
    limit: object
    store: str | None = None

    def prepare(self, item, image):
        item.prepare()

    def deliver(self, item, image, record, count):
        body = streams.Body.of_item(
            item, image, self.service.retries, self.limit, count
        )
        try:
            self.service.upload(record.id, body, image.size, self.store)
        except errors.ReplicatorError as exc:
            if body.sent and exc.may_pass:
                raise errors.Undecided(str(exc), exc.pause) from exc
            raise
        return body.sent

    def read(self, item, image):
        body = streams.Body.of_item(
            item, image, self.service.retries, self.limit
        )
        for _chunk in body:
            pass
        return body.sent


@dataclasses.dataclass(kw_only=True)
class Sending:
    """Brings the bytes of one image to the target.

    :param claims: :class:`TargetRecords`
    :param delivery: :class:`Delivery`
    :param display: :class:`Display`
    :param item: :class:`Item`
    :param image: its :class:`Image` as it is now
    :param record: the target's :class:`Image`, as last seen; or None
    :param known: the image with the hashes of the bytes that were read
    """

    claims: object
    delivery: object
    display: object
    item: object
    image: object
    record: object
    known: object = None

    def __post_init__(self):
        self.service = self.claims.service
        self.known = self.image

    def send(self):
        """Return a record of the target that has the right bytes.

        :raises: :class:`ReplicatorError`
        """
        if self.record is not None:
            self.claims.check_left_alone(self.record)
        try:
            try:
                self.delivery.prepare(self.item, self.image)
            except errors.Refused:
                # The source may refuse what it does not have any more.
                self.item.refresh()
                raise
            return self._until_right()
        except errors.ReplicatorError as exc:
            self._release(exc)
            raise

    def read_if_unknown(self):
        """Read the bytes if no hash tells whether the target has the same.

        :returns: the :class:`Image` with the hashes that are known then
        """
        if (
            self.record is not None and not self.known.computed
            and comparing.same_data(self.known, self.record) is None
        ):
            self.known = self.service.retries.call(
                self.delivery.read, self.item, self.known
            )
        return self.known

    def _is_right(self):
        """False if the target has other bytes than the source, or none."""
        return self.record is not None and comparing.same_data(
            self.known, self.record
        ) is not False

    def _until_right(self):
        problem = None
        for _upload in range(_UPLOADS):
            problem = self.service.retries.call(self._attempt)
            self.read_if_unknown()
            if self._is_right():
                return self.record
        raise problem or errors.WrongData(
            f'the data on {self.service.name} is not that of the image, after '
            f'{_UPLOADS} uploads'
        )

    def _attempt(self):
        """Send it once; return what was wrong with the bytes, or None.

        :raises: :class:`ReplicatorError`, also for what may pass
        """
        self.record = self.claims.claim(self.known, self.record)
        if self.record.status != 'queued':
            return None
        problem = self._deliver()
        undecided = isinstance(problem, errors.Undecided)
        self.record = self.claims.settled(self.record.id, for_long=undecided)
        if self._is_right():
            return None
        status = self.record and self.record.status
        if undecided and status in target_records.BUSY:
            raise errors.GivenUp(
                f'{problem}; {self.service.name} has all bytes, and the image '
                f'is still {status} after '
                f'{text.seconds(self.service.retries.timeout)}; run the same '
                f'command again later'
            )
        if problem is None or isinstance(problem, errors.WrongData):
            return problem
        raise problem

    def _deliver(self):
        """Bring the data; return the error if another attempt may succeed."""
        image = self.known = self.image
        self.display.begin(image.id, image.name, image.size or 0)
        try:
            self.known = self.delivery.deliver(
                self.item, image, self.record,
                functools.partial(self.display.advance, image.id),
            )
        except (errors.Unreachable, errors.WrongData) as exc:
            return exc
        except errors.Refused as exc:
            self.item.refresh()
            if exc.may_pass:
                return exc
            raise
        return None

    def _release(self, exc):
        """Remove a record that no data will come into.

        Where a later run may succeed it stays, so that the copy gets its id.
        """
        is_final = isinstance(exc, errors.Vanished) or (
            isinstance(exc, errors.Refused) and exc.status not in _NO_ROOM
        )
        if is_final and self.record is not None:
            with contextlib.suppress(errors.ReplicatorError):
                self.claims.release(self.record.id)
