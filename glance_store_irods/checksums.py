# SPDX-License-Identifier: Apache-2.0

"""Hashes of an image on its way in, and checksums as iRODS writes them.

A checksum is the name of its scheme, a colon and base64; but md5 is bare and
in hexadecimal.
"""

import base64
import binascii
from concurrent import futures

from glance_store import exceptions
from glance_store.common import utils

# What has another name in hashlib.
_ALGORITHMS = {'sha2': 'sha256'}


def parse(checksum):
    """Return (algorithm, digest) of a checksum.

    :returns: the name that hashlib has for it, or the zone's if it has none;
        and the digest in hexadecimal, or as it is if it cannot be read
    """
    scheme, colon, value = checksum.partition(':')
    if not colon:
        return 'md5', checksum
    algorithm = _ALGORITHMS.get(scheme, scheme)
    try:
        return algorithm, base64.b64decode(value).hex()
    except binascii.Error:
        return algorithm, value


def compare(checksum, algorithm, digest):
    """Compare a checksum with a hash, if both are of one algorithm.

    :param digest: in hexadecimal
    :raises: BackendException if they differ
    """
    found, value = parse(checksum)
    if found == algorithm and value != digest:
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

    @property
    def checksum(self):
        """The md5 of what came, in hexadecimal."""
        return self._digests['md5'].hexdigest()

    @property
    def multihash(self):
        """The image's own hash of what came, in hexadecimal."""
        return self._digests[self._algorithm].hexdigest()

    def pieces(self):
        """Yield the pieces; hash each while the caller does something.

        Hashing takes longer than sending, so that each hash has a thread.

        :raises: Invalid if the size is not as expected
        """
        with futures.ThreadPoolExecutor(len(self._updated)) as beside:
            for piece in self._cut():
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

    def check(self, checksum, path):
        """Compare with the checksum that the zone computed of the object.

        :raises: BackendException if it differs, or cannot be compared
        """
        algorithm, value = parse(checksum)
        digest = self._digests.get(algorithm)
        if digest is None:
            raise exceptions.BackendException(
                f'The zone made a checksum of {path} that cannot be compared: '
                f'its hash scheme is {algorithm}.'
            )
        if value != digest.hexdigest():
            raise exceptions.BackendException(
                f'The {algorithm} checksum that iRODS computed of {path} is '
                f'not that of the bytes that were sent.'
            )
