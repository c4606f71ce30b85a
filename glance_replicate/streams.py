# SPDX-License-Identifier: Apache-2.0

"""The bytes of an image on their way: read, hashed, counted, slowed down."""

import contextlib
import dataclasses
import hashlib
import typing

from glance_replicate import errors
from glance_replicate import records

CHUNK = 1024 * 1024


class Item(typing.Protocol):
    """An image that is to be copied, wherever it comes from.

    ``image`` is its :class:`Image`, with ``id`` and ``name``.
    """

    def refresh(self):
        """Return the :class:`Image` as it is now.

        :raises: :class:`Vanished` if it must not be copied any more
        """

    def prepare(self):
        """Check that its bytes can be read, before anything is created.

        :raises: :class:`ReplicatorError` if not
        """

    def open(self, offset):
        """Return an iterator of the bytes from an offset on.

        :raises: :class:`Unreachable` if that broke and may be tried again
        """

    def members(self):
        """Return the ids of the projects that it is shared with."""


class CloudItem:
    """An image of an Image service.

    :param service: :class:`ImageService`
    :param chunk: how many bytes to ask for at a time
    """

    def __init__(self, service, image, chunk=CHUNK):
        self._service = service
        self._chunk = chunk
        self._begun = None
        self.image = image
        self.id, self.name = image.id, image.name

    def refresh(self):
        record = self._service.image(self.id)
        if record is None:
            raise errors.Vanished(f'it was deleted on {self._service.name}')
        image = records.of_api(record)
        if image.status != 'active':
            raise errors.Vanished(
                f'it is {image.status} on {self._service.name}'
            )
        return image

    def prepare(self):
        """Request the bytes, which ``open`` then reads."""
        if self.image.size != 0:
            self._begun = self._service.retries.call(
                self._service.open, self.id
            )

    def open(self, offset):
        begun, self._begun = self._begun, None
        answer, begin = begun or self._service.open(self.id, offset)
        with answer:
            try:
                for chunk in answer.iter_content(self._chunk):
                    self._service.retries.cancel.check()
                    # A server that cannot seek sends what is known already.
                    yield chunk[max(0, offset - begin):]
                    begin += len(chunk)
            except (OSError, ValueError) as exc:
                # requests' own errors are OSErrors; urllib3 has others.
                raise errors.Unreachable(
                    f'{self._service.name}: the connection broke while the '
                    f'image was read'
                ) from exc

    def members(self):
        return self._service.members(self.id)


class Steady:
    """Reads the bytes of an item to the end; goes on where it broke.

    :param item: :class:`Item`
    :param size: the expected number of bytes; None if only the end of the
        stream tells
    :param retries: :class:`Retries`, which begin anew when bytes have come
    """

    def __init__(self, item, size, retries):
        self._item = item
        self._size = size
        self._retries = retries
        self._done = 0
        self._chunks = None

    def __iter__(self):
        while self._done != self._size:
            chunk = self._retries.call(self._next)
            if not chunk:
                return
            yield self._counted(chunk)
        with contextlib.suppress(errors.Unreachable):
            # A connection that was read to its end can be used again.
            for chunk in self._chunks or ():
                self._counted(chunk)

    def _counted(self, chunk):
        self._done += len(chunk)
        if self._size is not None and self._done > self._size:
            raise errors.WrongData(
                f'more bytes arrived than the {self._size} of the image'
            )
        return chunk

    def _next(self):
        """Return the next bytes of the image; none at an unknown end."""
        begins = self._chunks is None
        if begins:
            self._chunks = self._item.open(self._done)
        try:
            for chunk in self._chunks:
                if chunk:
                    return chunk
        except errors.ReplicatorError:
            self._chunks = None
            raise
        self._chunks = None
        if self._size is None:
            return b''
        told = f'only {self._done} of {self._size} bytes arrived'
        # A connection may have ended too early, but not as it began.
        raise (errors.WrongData if begins else errors.Unreachable)(told)


class Body:
    """The bytes of one image: an iterable for one use, checked at its end.

    The last bytes are yielded only after the hash was found to be that of the
    image. So wrong bytes cannot become an image, even where the reader knows
    the size and takes these bytes for the end.

    :param chunks: iterable of bytes
    :param image: the :class:`Image` that the bytes are of
    :param limit: :class:`BandwidthLimit`
    :param cancel: :class:`CancelToken`
    :param count: called with the number of bytes of each chunk

    Once all was read, ``sent`` is the :class:`Image` with the size and the
    hashes of the bytes; until then it is None.
    """

    def __init__(self, chunks, image, *, limit, cancel, count):
        self._chunks = chunks
        self._image = image
        self._limit = limit
        self._cancel = cancel
        self._count = count
        self._used = False
        self.algorithm, self._expected = image.expected_hash
        self.sent = None

    @classmethod
    def of_item(cls, item, image, retries, limit, count=lambda size: None):
        """Return the body that reads an :class:`Item`."""
        return cls(
            Steady(item, image.size, retries), image,
            limit=limit, cancel=retries.cancel, count=count,
        )

    def __iter__(self):
        if self._used:
            # An HTTP library that repeats a request would send nothing.
            raise errors.Unreachable('the upload was interrupted')
        self._used = True
        return self._read()

    def _read(self):
        names = {self.algorithm}
        if not self._image.checksum:
            # The other side may have only one of these.
            names |= {records.DEFAULT_HASH, 'md5'}
        hashers = {
            name: hashlib.new(name, usedforsecurity=False) for name in names
        }
        size, held = 0, b''
        for chunk in self._chunks:
            self._cancel.check()
            for hasher in hashers.values():
                hasher.update(chunk)
            size += len(chunk)
            self._limit.consume(len(chunk))
            yield from self._counted(held)
            held = chunk
        self._cancel.check()
        sent = self._checked(size, {
            name: hasher.hexdigest() for name, hasher in hashers.items()
        })
        yield from self._counted(held)
        self.sent = sent

    def _counted(self, chunk):
        if chunk:
            yield chunk
            self._count(len(chunk))

    def _checked(self, size, computed):
        if self._image.size not in (None, size):
            raise errors.WrongData(
                f'{size} bytes arrived instead of {self._image.size}'
            )
        if self._expected not in (None, computed[self.algorithm]):
            raise errors.WrongData(
                f'the {self.algorithm} of the bytes that arrived is not that '
                f'of the image'
            )
        return dataclasses.replace(
            self._image, size=size, computed=computed
        )
