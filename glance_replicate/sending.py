# SPDX-License-Identifier: Apache-2.0

"""The bytes of one image, sent until the target has them or refuses them."""

import contextlib
import dataclasses
import functools

from glance_replicate import comparing
from glance_replicate import errors
from glance_replicate import target_records
from glance_replicate import text

_TIMES = 3  # that bytes may turn out to be others
_NO_ROOM = (413, 507)


@dataclasses.dataclass(kw_only=True)
class _Sending:
    """One image on its way.

    :param image: the :class:`Image` as it is on the source
    :param known: the same with all that is known of the bytes
    :param record: the target's :class:`Image`, as far as it is known
    """

    item: object
    image: object
    known: object
    record: object

    @property
    def is_right(self):
        """False if the target has other bytes than the source, or none."""
        return self.record is not None and comparing.same_data(
            self.known, self.record
        ) is not False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends the bytes of images. Safe to use from any thread.

    :param service: :class:`ImageService` of the target
    :param claims: :class:`TargetRecords`
    :param delivery: :class:`Delivery`
    :param display: :class:`Display`
    """

    service: object
    claims: object
    delivery: object
    display: object

    def send(self, item, image, found):
        """Return a record of the target that has the right bytes.

        :param found: what an earlier run has left of it, or None
        :returns: and the :class:`Image` with all that is known of these
        """
        sending = _Sending(item=item, image=image, known=image, record=found)
        if found is not None:
            self.claims.check_left_alone(found)
        try:
            self._prepare(item, image)
            return self._until_right(sending)
        except errors.ReplicatorError as exc:
            self._release(sending.record, exc)
            raise

    def known(self, item, image, record):
        """Return the :class:`Image` with the hashes of its bytes, read here.

        Only if its own hashes do not tell if the target has these bytes.
        """
        if (
            record is None or image.computed
            or comparing.same_data(image, record) is not None
        ):
            return image
        return self.service.retries.call(self.delivery.read, item, image)

    def _prepare(self, item, image):
        try:
            self.delivery.prepare(item, image)
        except errors.Refused:
            # The source may refuse what it does not have any more.
            item.refresh()
            raise

    def _until_right(self, sending):
        problem = None
        for _number in range(_TIMES):
            problem = self.service.retries.call(self._attempt, sending)
            sending.known = self.known(
                sending.item, sending.known, sending.record
            )
            if sending.is_right:
                return sending.record, sending.known
        raise problem or errors.WrongData(
            f'the bytes that arrived on {self.service.name} are others, each '
            f'of {_TIMES} times'
        )

    def _attempt(self, sending):
        """Send it once; return what was wrong with the bytes, or None.

        :raises: :class:`ReplicatorError`, also for what may pass
        """
        record = self.claims.claim(sending.known, sending.record)
        sending.record = record
        if record.status != 'queued':
            return None
        problem = self._deliver(sending)
        undecided = isinstance(problem, errors.Undecided)
        record = self.claims.settled(record.id, for_long=undecided)
        sending.record = record
        if sending.is_right:
            return None
        if undecided and record and record.status in target_records.BUSY:
            raise errors.GivenUp(
                f'{problem}; {self.service.name} has all bytes and is still '
                f'{record.status} them after '
                f'{text.seconds(self.service.retries.timeout)}; run the same '
                f'command again later'
            )
        if problem is None or isinstance(problem, errors.WrongData):
            return problem
        raise problem

    def _deliver(self, sending):
        """Bring the data; return what went wrong if it is worth repeating."""
        image = sending.known = sending.image
        self.display.begin(image.id, image.name, image.size or 0)
        try:
            sending.known = self.delivery.deliver(
                sending.item, image, sending.record,
                functools.partial(self.display.advance, image.id),
            )
        except (errors.Unreachable, errors.WrongData) as exc:
            return exc
        except errors.Refused as exc:
            sending.item.refresh()
            if exc.may_pass:
                return exc
            raise
        return None

    def _release(self, record, exc):
        """Leave no record behind that nothing will come into.

        What may go on later stays, so that the copy gets its id.
        """
        ends = isinstance(exc, errors.Vanished) or (
            isinstance(exc, errors.Refused) and exc.status not in _NO_ROOM
        )
        if ends and record is not None:
            with contextlib.suppress(errors.ReplicatorError):
                self.claims.release(record.id)
