# SPDX-License-Identifier: Apache-2.0

"""The bytes of a volume that is connected to this host."""

import contextlib
import errno
import os

from glance_store import exceptions

_STORAGE_ERRORS = {
    errno.EFBIG: exceptions.StorageFull,
    errno.ENOSPC: exceptions.StorageFull,
    errno.EDQUOT: exceptions.StorageFull,
    errno.EACCES: exceptions.StorageWriteDenied,
    errno.EROFS: exceptions.StorageWriteDenied,
}


class Device:
    """Reads and writes at any place, for several threads at a time.

    :param volume_id: of the volume, for errors
    :param file: one of the classes below
    """

    def __init__(self, volume_id, file):
        self._volume_id = volume_id
        self._file = file
        self.close = file.close

    def size(self):
        """Return how many bytes there are."""
        with self._translated('tell the size of'):
            return self._file.size()

    def read(self, offset, size):
        """Return exactly so many bytes.

        :raises: BackendException if there are less
        """
        with self._translated('read'):
            data = self._file.read(offset, size)
        if len(data) != size:
            raise exceptions.BackendException(
                f'Volume {self._volume_id} ends at byte {offset + len(data)},'
                ' before the image in it does.'
            )
        return data

    def write(self, offset, data):
        """Write all of ``data``."""
        with self._translated('write'):
            self._file.write(offset, data)

    def flush(self):
        """Return when all that was written is on the storage."""
        with self._translated('flush'):
            self._file.flush()

    @contextlib.contextmanager
    def _translated(self, verb):
        try:
            yield
        except Exception as exc:
            number = getattr(exc, 'errno', None)
            kind = _STORAGE_ERRORS.get(abs(number or 0))
            said = f'Cannot {verb} volume {self._volume_id}: {exc}'
            if kind is not None:
                raise kind(message=said) from exc
            raise exceptions.BackendException(said) from exc


class RbdImage:
    """librbd's image in os-brick's wrapper, which has only one position."""

    def __init__(self, wrapper):
        self._image = wrapper.rbd_image

    def size(self):
        return self._image.size()

    def read(self, offset, size):
        # librbd takes it for an error to begin after the end.
        size = min(size, max(0, self._image.size() - offset))
        return self._image.read(offset, size) if size else b''

    def write(self, offset, data):
        self._image.write(bytes(data), offset)

    def flush(self):
        self._image.flush()

    def close(self):
        """os-brick closes it when it disconnects."""


class File:
    """A block device, or a file on a file system of the storage.

    :param file: open, without a buffer
    :param give_back: to be called after it was closed
    """

    def __init__(self, file, give_back):
        self._file = file
        self._give_back = give_back

    def size(self):
        # A block device has no size in what stat says.
        return os.lseek(self._file.fileno(), 0, os.SEEK_END)

    def read(self, offset, size):
        pieces, missing = [], size
        while missing:
            piece = os.pread(self._file.fileno(), missing, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            missing -= len(piece)
        return b''.join(pieces)

    def write(self, offset, data):
        view = memoryview(data)
        while view:
            count = os.pwrite(self._file.fileno(), view, offset)
            offset, view = offset + count, view[count:]

    def flush(self):
        os.fsync(self._file.fileno())

    def close(self):
        try:
            self._file.close()
        finally:
            self._give_back()


def open_path(path, writable, chown):
    """Return a :class:`File`; what is in it stays.

    :param chown: context manager that lets this process open the path
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(chown(path))
        # Never 'wb': on a file system, that would empty the volume.
        mode = 'r+b' if writable else 'rb'
        file = stack.enter_context(open(path, mode, buffering=0))
        kept = stack.pop_all()
    return File(file, kept.close), file
