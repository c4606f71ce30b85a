# SPDX-License-Identifier: Apache-2.0

"""The bytes of an image on their way: read, hashed, counted, slowed down."""

import contextlib
import dataclasses
import hashlib
import typing

from glance_replicate import errors
from glance_replicate import hashes

CHUNK = 1024 * 1024


class Source(typing.Protocol):
    """Something that holds the bytes of one image."""

    def open(self, offset):
        """Return an iterator of the bytes from an offset on.

        :raises: :class:`Unreachable` if it broke and may be tried again
        """


class CloudData:
    """The bytes of an image of an Image service.

    :param chunk: how many bytes to ask for at a time
    """

    def __init__(self, service, image_id, chunk=CHUNK):
        self._service = service
        self._image_id = image_id
        self._chunk = chunk
        self._begun = None

    def begin(self):
        """Ask for the bytes, which whoever opens it reads then."""
        self._begun = self._service.retries.call(
            self._service.open, self._image_id
        )

    def open(self, offset):
        """Yield the bytes from an offset on."""
        begun, self._begun = self._begun, None
        answer, begin = begun or self._service.open(self._image_id, offset)
        with answer:
            try:
                for chunk in answer.iter_content(self._chunk):
                    self._service.retries.cancel.check()
                    # Of what is sent once more nothing is needed.
                    yield chunk[max(0, offset - begin):]
                    begin += len(chunk)
            except (OSError, ValueError) as exc:
                # requests' own errors are OSErrors; urllib3 has others.
                raise errors.Unreachable(
                    f'{self._service.name} broke off sending the image'
                ) from exc


class Steady:
    """Reads a source to its end, and goes on where a connection broke.

    :param source: :class:`Source`
    :param size: bytes that there have to be; None if only the end of the
        stream tells
    :param retries: :class:`Retries`, which begin anew when bytes have come
    """

    def __init__(self, source, size, retries):
        self._source = source
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
                f'there are more bytes than the {self._size} of the image'
            )
        return chunk

    def _next(self):
        """Return the next bytes of the image; none at an unknown end."""
        begins = self._chunks is None
        if begins:
            self._chunks = self._source.open(self._done)
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
        told = f'there are only {self._done} bytes of {self._size}'
        # A connection may have ended too early, but not as it began.
        raise (errors.WrongData if begins else errors.Unreachable)(told)


class Body:
    """What is uploaded: an iterable for one use, which ends only if all fits.

    Who reads it sees the last bytes only after the hash was found to be that
    of the image, so that wrong bytes cannot become an image: whoever knows the
    size takes these bytes for the end.

    :param chunks: iterable of bytes
    :param image: the :class:`Image` that the bytes are of
    :param limit: :class:`BandwidthLimit`
    :param cancel: :class:`CancelToken`
    :param count: called with the number of bytes of each chunk

    When all was read ``sent`` is the :class:`Image` with the size and the
    hashes of that; until then it is None.
    """

    def __init__(self, chunks, image, *, limit, cancel, count):
        self._chunks = chunks
        self._image = image
        self._limit = limit
        self._cancel = cancel
        self._count = count
        self._used = False
        self.algorithm, self._expected = hashes.expectation(image)
        self.sent = None

    def __iter__(self):
        if self._used:
            # An HTTP library that repeats a request would send nothing.
            raise errors.Unreachable('the upload was broken off')
        self._used = True
        return self._read()

    def _read(self):
        hashers = self._hashers()
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

    def _hashers(self):
        names = {self.algorithm}
        if not self._image.checksum:
            # The other side may know no other that both have.
            names |= {hashes.DEFAULT, 'md5'}
        return {
            name: hashlib.new(name, usedforsecurity=False) for name in names
        }

    def _checked(self, size, computed):
        if self._image.size not in (None, size):
            raise errors.WrongData(
                f'there are {size} bytes instead of {self._image.size}'
            )
        if self._expected not in (None, computed[self.algorithm]):
            raise errors.WrongData(
                f'the bytes that came have another {self.algorithm} than the '
                f'image'
            )
        return dataclasses.replace(
            self._image, size=size, computed=computed
        )
