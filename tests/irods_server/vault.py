# SPDX-License-Identifier: Apache-2.0

"""The files of a resource: sparse where the data is zeros, and limited."""

import base64
import errno
import hashlib
import os
import threading

BLOCK = 1024 * 1024
ZEROS = bytes(BLOCK)
# What follows is not the checksum any more.
CHECKSUM_LENGTH = 64


class Full(OSError):
    """The resource has no room for more."""

    def __init__(self):
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Vault:
    """A folder of physical files that may hold ``capacity`` bytes."""

    def __init__(self, folder, capacity=None):
        self.folder = folder
        self.capacity = capacity
        self.used = 0
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def path_for(self, logical):
        """Return an unused file name for the object at ``logical``."""
        path = self.folder.joinpath(*logical.split('/')[2:])
        number = 0
        while os.path.lexists(path):
            # An orphan lies there, which its own name does not free.
            number += 1
            path = path.with_name(f'{path.name}.{number}')
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def truncate(self, descriptor, size):
        """Make an open file ``size`` long, which is not longer."""
        with self._lock:
            self.used += size - os.fstat(descriptor).st_size
            os.ftruncate(descriptor, size)

    def grow(self, descriptor, size):
        """Make an open file ``size`` long at least, if there is room.

        Return its size before and after.
        """
        with self._lock:
            before = os.fstat(descriptor).st_size
            if size <= before:
                return before, before
            if self.capacity is not None:
                room = max(self.capacity - self.used, 0)
                size = min(size, before + room)
            os.ftruncate(descriptor, size)
            self.used += size - before
        return before, size

    def write(self, descriptor, view, offset):
        """Write ``view`` at ``offset``; blocks of zeros stay holes."""
        before, after = self.grow(descriptor, offset + len(view))
        fitting = view[:max(after - offset, 0)]
        for start in range(0, len(fitting), BLOCK):
            block = fitting[start:start + BLOCK]
            place = offset + start
            if place >= before and _is_zeros(block):
                continue
            _write_all(descriptor, block, place)
        if len(fitting) < len(view):
            raise Full

    def copy(self, source, target, passed):
        """Copy an open file to another one, leaving out the holes.

        ``passed`` is called with the number of bytes of each step.
        """
        size = os.fstat(source).st_size
        offset = 0
        while offset < size:
            start, end = _next_data(source, offset, size)
            end = min(end, start + 8 * BLOCK)
            _, after = self.grow(target, end)
            _copy_range(source, target, start, min(end, after))
            if after < end:
                raise Full
            passed(end - offset)
            offset = end

    def forget(self, path):
        """Delete the file at ``path``."""
        with self._lock:
            size = os.stat(path).st_size
            os.unlink(path)
            self.used -= size


def _is_zeros(view):
    """Tell whether ``view``, of BLOCK bytes at most, holds only zeros."""
    # A view itself is compared item by item, which takes fifty times as long.
    return view[0] == 0 and bytes(view) == ZEROS[:len(view)]


def _write_all(descriptor, view, offset):
    while view:
        count = os.pwrite(descriptor, view, offset)
        view = view[count:]
        offset += count


def _next_data(descriptor, offset, size):
    """Return where the next data begins and ends, at or after ``offset``."""
    try:
        start = os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size
    return start, os.lseek(descriptor, start, os.SEEK_HOLE)


def _copy_range(source, target, start, end):
    while start < end:
        try:
            count = os.copy_file_range(
                source, target, end - start, start, start
            )
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EOPNOTSUPP):
                raise
            block = os.pread(source, min(BLOCK, end - start), start)
            _write_all(target, memoryview(block), start)
            count = len(block)
        if not count:
            return
        start += count


def same(checksum, other):
    """Tell whether two checksums are the same, as far as they are whole."""
    return checksum[:CHECKSUM_LENGTH] == other[:CHECKSUM_LENGTH]


def digest(path, passed, scheme):
    """Return the checksum of a file by the hash ``scheme`` of a zone."""
    total = hashlib.new({'sha2': 'sha256'}.get(scheme, scheme))
    buffer = memoryview(bytearray(4 * BLOCK))
    with open(path, 'rb', buffering=0) as file:
        while count := file.readinto(buffer):
            total.update(buffer[:count])
            passed(count)
    return f'{scheme}:{base64.b64encode(total.digest()).decode()}'
