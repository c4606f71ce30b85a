# SPDX-License-Identifier: Apache-2.0

"""An image on its way in: counted and hashed."""

from glance_store import exceptions
from glance_store.common import utils


class Incoming:
    """What is read from a source, once.

    :param source: has ``read(size)``
    :param size: how many bytes it should have; 0 if that is not known
    :param algorithm: of the image's own hash
    :param verifier: gets all bytes by its ``update``; or None
    """

    def __init__(self, source, size, algorithm, verifier):
        self.count = 0
        self._source = source
        self._size = size
        self._md5 = utils.get_hasher('md5', False)
        self._hash = utils.get_hasher(algorithm, False)
        self._updated = [self._md5, self._hash]
        if verifier:
            self._updated.append(verifier)

    @property
    def checksum(self):
        return self._md5.hexdigest()

    @property
    def multihash(self):
        return self._hash.hexdigest()

    def pieces(self, size):
        """Yield pieces of at most ``size`` bytes.

        :raises: Invalid if there are more or less bytes than expected
        """
        while data := self._source.read(size):
            if self._size and self.count + len(data) > self._size:
                raise self._wrong_size(self.count + len(data), 'at least ')
            for each in self._updated:
                each.update(data)
            self.count += len(data)
            yield data
        if self._size and self.count != self._size:
            raise self._wrong_size(self.count)

    def _wrong_size(self, count, more=''):
        return exceptions.Invalid(
            message=f'The image has {more}{count} bytes, but {self._size} '
                    'were announced.'
        )
