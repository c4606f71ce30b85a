# SPDX-License-Identifier: Apache-2.0

"""The bytes of an image on their way: read, hashed, counted, slowed down."""

import dataclasses
import hashlib
import typing

from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import hashes

CHUNK = 1024 * 1024
_NOTHING = 204


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

    def open(self, offset):
        """Yield the bytes from an offset on."""
        with self._service.open(self._image_id, offset) as answer:
            if answer.status_code == _NOTHING:
                raise errors.WrongData(
                    f'{self._service.name} has no bytes of it in any store'
                )
            try:
                yield from answer.iter_content(self._chunk)
            except (OSError, ValueError) as exc:
                # requests' own errors are OSErrors; urllib3 has others.
                raise errors.Unreachable(
                    f'{self._service.name} broke off sending the image'
                ) from exc


class Steady:
    """Reads a source to its end, and goes on where a connection broke.

    :param source: :class:`Source`
    :param size: bytes that there have to be; None if only the end of the
        stream tells, which cannot be gone on with
    :param attempts: how often nothing at all may come
    :param pause: called before another attempt; raises to stop
    """

    def __init__(self, source, size, attempts, pause):
        self._source = source
        self._size = size
        self._attempts = attempts
        self._pause = pause

    def __iter__(self):
        if self._size is None:
            return self._source.open(0)
        return self._read()

    def _read(self):
        done = failures = 0
        while done < self._size:
            before = done
            failure = None
            try:
                for chunk in self._source.open(done):
                    done += len(chunk)
                    if done > self._size:
                        raise errors.WrongData(
                            f'there are more bytes than the {self._size} of '
                            f'the image'
                        )
                    yield chunk
            except errors.Unreachable as exc:
                failure = exc
            failures = 0 if done > before else failures + 1
            if done < self._size and failures == self._attempts:
                raise failure or errors.WrongData(
                    f'there are only {done} bytes of {self._size}'
                )
            if done < self._size:
                self._pause()


class Body:
    """What is uploaded: an iterable for one use, which ends only if all fits.

    Who reads it sees the end of the stream only after the hash was found to
    be that of the image, so that wrong bytes cannot become an image.

    :param chunks: iterable of bytes
    :param image: the :class:`Image` that the bytes are of
    :param limit: :class:`BandwidthLimit`
    :param cancel: :class:`CancelToken`
    :param count: called with the number of bytes of each chunk

    At its end ``sent`` is the :class:`Image` with the size and the hashes
    of what was read.
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
        size = 0
        for chunk in self._chunks:
            self._cancel.check()
            for hasher in hashers.values():
                hasher.update(chunk)
            size += len(chunk)
            self._limit.consume(len(chunk))
            yield chunk
            self._count(len(chunk))
        self._cancel.check()
        self._check(size, {
            name: hasher.hexdigest() for name, hasher in hashers.items()
        })

    def _hashers(self):
        names = {self.algorithm}
        if not self._image.checksum:
            # The other side may know no other that both have.
            names |= {hashes.DEFAULT, 'md5'}
        return {
            name: hashlib.new(name, usedforsecurity=False) for name in names
        }

    def _check(self, size, computed):
        if self._image.size not in (None, size):
            raise errors.WrongData(
                f'there are {size} bytes instead of {self._image.size}'
            )
        if self._expected not in (None, computed[self.algorithm]):
            raise errors.WrongData(
                f'the bytes that came have another {self.algorithm} than the '
                f'image'
            )
        self.sent = dataclasses.replace(
            self._image, size=size, computed=computed
        )
