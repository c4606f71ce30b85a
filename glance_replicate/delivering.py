# SPDX-License-Identifier: Apache-2.0

"""How the bytes of an image get into a record: streamed through here."""

import dataclasses
import typing

from glance_replicate import errors
from glance_replicate import streams


class Delivery(typing.Protocol):
    """A way for bytes from a source into a record of the target."""

    def prepare(self, item, image):
        """Look whether the bytes can be had, before anything is made.

        :raises: :class:`ReplicatorError` if not
        """

    def deliver(self, item, image, record, count):
        """Bring the bytes of an item into a record that waits for data.

        :param image: the item's :class:`Image` as it is now
        :param record: the target's :class:`Image`
        :param count: called with the number of bytes that were moved
        :returns: the :class:`Image` with all that is known of what was moved
        :raises: :class:`Undecided` if the target may still be at work on
            them, else another :class:`ReplicatorError`; nothing is left then
            that the target does not know of
        """

    def read(self, item, image):
        """Return the :class:`Image` with the hashes of all its bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Streaming:
    """Read from the source and upload at the same time, without a file.

    :param service: :class:`ImageService` of the target
    :param store: of the target; if None, the target uploads to its default
    """

    service: object
    limit: object
    cancel: object
    store: str | None = None

    def prepare(self, item, image):
        item.prepare()

    def deliver(self, item, image, record, count):
        body = self._body(item, image, count)
        try:
            self.service.upload(record.id, body, image.size, self.store)
        except errors.ReplicatorError as exc:
            if body.sent and exc.may_pass:
                raise errors.Undecided(str(exc), exc.pause) from exc
            raise
        return body.sent

    def read(self, item, image):
        body = self._body(item, image, lambda _count: None)
        for _chunk in body:
            pass
        return body.sent

    def _body(self, item, image, count):
        return streams.Body(
            streams.Steady(item.data(), image.size, self.service.retries),
            image, limit=self.limit, cancel=self.cancel, count=count,
        )
