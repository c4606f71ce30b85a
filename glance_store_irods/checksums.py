# SPDX-License-Identifier: Apache-2.0

"""Hashes of an image on its way in, and checksums as iRODS writes them.

A checksum is the name of its scheme, a colon and base64; but md5 is bare and
in hexadecimal. iRODS has room for 64 characters: of a longer one, as with
sha512, what comes after them is garbage.
"""

import base64
import binascii
from concurrent import futures
import dataclasses
import hashlib

from glance_store import exceptions
from glance_store.common import utils

# What has another name in hashlib.
_ALGORITHMS = {'sha2': 'sha256'}
_ROOM = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checksum:
    """What a zone has computed of an object.

    :param algorithm: the name that hashlib has for it, or the zone's if it
        has none
    :param digest: in hexadecimal, as much of it as is whole; or what the
        zone said if that cannot be read
    """

    algorithm: str
    digest: str

    def is_of(self, digest):
        """Compare with a digest of the same algorithm, in hexadecimal."""
        return bool(self.digest) and digest.startswith(self.digest)


def parse(text):
    """Return the :class:`Checksum` that a zone has written as ``text``."""
    scheme, colon, value = text.partition(':')
    if not colon:
        return Checksum(algorithm='md5', digest=text)
    algorithm = _ALGORITHMS.get(scheme, scheme)
    if _length(algorithm) + len(scheme) + 1 > _ROOM:
        room = _ROOM - len(scheme) - 1
        value = value[:room // 4 * 4] if len(value) >= room else ''
    try:
        digest = base64.b64decode(value, validate=True).hex()
    except binascii.Error:
        digest = value
    return Checksum(algorithm=algorithm, digest=digest)


def _length(algorithm):
    """Return how many characters a whole checksum has; 0 if unknown."""
    try:
        size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    except ValueError:
        return 0
    return (size + 2) // 3 * 4


def compare(found, algorithm, digest):
    """Compare a zone's checksum with a hash, if both are of one algorithm.

    :param found: :class:`Checksum`
    :param digest: in hexadecimal
    :raises: BackendException if they differ
    """
    if found.algorithm == algorithm and not found.is_of(digest):
        raise exceptions.BackendException(
            f'the object has another {algorithm} than the image'
        )


class Incoming:
    """An image on its way in: cut into pieces, counted and hashed, once.

    :param source: has ``read(size)``, or yields bytes
    :param size: how many bytes it should have; 0 if that is not known
    :param algorithm: of the image's own hash
    :param verifier: gets all bytes by its ``update``; or None
    :param piece_size: bytes in each piece but the last
    """

    def __init__(self, source, size, algorithm, verifier, piece_size):
        self.count = 0
        self._source = source
        self._size = size
        self._algorithm = str(algorithm)
        self._piece_size = piece_size
        self._digests = {
            name: utils.get_hasher(name, False)
            for name in {'md5', 'sha256', self._algorithm}
        }
        self._updated = [*self._digests.values()]
        if verifier:
            self._updated.append(verifier)

    def pieces(self):
        """Yield the pieces; hash each while the next one comes.

        Hashing takes longer than sending, so that each hash has a thread.

        :raises: Invalid if the size is not as expected
        """
        hashing = []
        with futures.ThreadPoolExecutor(len(self._updated)) as beside:
            for piece in self._cut():
                # The last one was hashed while this one came.
                for each in hashing:
                    each.result()
                self.count += len(piece)
                if self._size and self.count > self._size:
                    raise self._wrong_size('at least ')
                hashing = [
                    beside.submit(each.update, piece)
                    for each in self._updated
                ]
                yield piece
            for each in hashing:
                each.result()
        if self._size and self.count != self._size:
            raise self._wrong_size()

    def _cut(self):
        rest = bytearray()
        size = self._piece_size
        for data in utils.chunkreadable(self._source, size):
            if not rest and len(data) == size:
                yield bytes(data)
                continue
            rest += data
            while len(rest) >= size:
                yield bytes(rest[:size])
                del rest[:size]
        if rest:
            yield bytes(rest)

    def _wrong_size(self, more=''):
        return exceptions.Invalid(
            message=f'The image has {more}{self.count} bytes, but '
                    f'{self._size} were announced.'
        )

    @property
    def hexdigests(self):
        """``{algorithm: digest in hexadecimal}`` of all that came."""
        return {
            name: each.hexdigest() for name, each in self._digests.items()
        }


class Verified:
    """An image on its way in that was hashed before: cut and counted.

    :param source: has ``read(size)``, which returns so many bytes but at the
        end, and the last ones only if all of them are right
    :param hexdigests: called in the end; returns ``{algorithm: digest in
        hexadecimal}``
    :param piece_size: bytes in each piece but the last
    """

    def __init__(self, source, hexdigests, piece_size):
        self.count = 0
        self._source = source
        self._hexdigests = hexdigests
        self._piece_size = piece_size

    def pieces(self):
        """Yield the pieces."""
        while piece := self._source.read(self._piece_size):
            self.count += len(piece)
            yield piece

    @property
    def hexdigests(self):
        """``{algorithm: digest in hexadecimal}`` of all that came."""
        return self._hexdigests()
