# SPDX-License-Identifier: Apache-2.0

"""Reading an image, from anywhere in it to anywhere."""

from glance_store import exceptions


class Chunks:
    """Iterates over bytes of a volume; raises if they cannot be read.

    :param shared: from :class:`Readers`
    :param offset: of the first byte
    :param end: of the one after the last
    :param size: of a chunk
    :param later: takes a function that a destructor must not call itself
    """

    def __init__(self, shared, offset, end, size, later):
        self._shared = shared
        self._offset = offset
        self._end = end
        self._size = size
        self._later = later
        try:
            self._check_size()
        except BaseException:
            self.close()
            raise

    def __iter__(self):
        return self

    def __next__(self):
        if self._shared is None:
            raise StopIteration
        size = min(self._size, self._end - self._offset)
        try:
            data = self._shared.read(self._offset, size)
        except BaseException:
            self._shared.broken()
            self.close()
            raise
        self._offset += size
        if self._offset >= self._end:
            # Before the last bytes are given away: whoever has them all may
            # want to delete the image at once.
            self.close()
        return data

    def close(self):
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.release()

    def __del__(self):
        # Any thread may run this, also one that holds a lock.
        shared, self._shared = getattr(self, '_shared', None), None
        if shared is not None:
            self._later(shared.release)

    def _check_size(self):
        size = self._shared.size()
        if size < self._end:
            raise exceptions.BackendException(
                f'Volume {self._shared.volume_id} has {size} bytes, but '
                f'{self._end} of them belong to the image.'
            )
