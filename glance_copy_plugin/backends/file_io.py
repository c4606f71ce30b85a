# SPDX-License-Identifier: Apache-2.0

"""Copying between files inside the kernel."""

import ctypes
import errno
import fcntl
import os

from glance_copy_plugin.transfer import holes

# Linux: <linux/fs.h> FICLONE.
_FICLONE = 0x40049409
_UNSUPPORTED = {
    errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY,
    errno.EPERM, errno.EBADF, errno.ETXTBSY,
}
# Some 10 ms of copying: a cancelled copy stops, and progress moves.
_CALL_BYTES = 8 * 1024 * 1024
# What may lie in memory behind a new file's end, on its way to the disk.
_UNWRITTEN_BYTES = 4 * _CALL_BYTES
_LIBC = ctypes.CDLL(None, use_errno=True)


def reflink(source_fd, target_fd):
    """Let the target share the source's blocks; False if it cannot.

    Both whole files; takes no space and no time on XFS, btrfs and the like.
    """
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError as exc:
        if exc.errno in _UNSUPPORTED:
            return False
        raise
    return True


def reserve(source_fd, target_fd, size):
    """Take ``size`` bytes of space for the target at once, where possible.

    A store that is too full says so now and not half-way. A source with
    holes reserves nothing: its copy shall have holes too.

    :raises OSError: if the space is not there
    """
    if os.fstat(source_fd).st_blocks * 512 < size or not size:
        return
    # Not os.posix_fallocate(), which writes to every block where the file
    # system cannot reserve, as on NFS.
    if _LIBC.fallocate(
        target_fd, 0, ctypes.c_int64(0), ctypes.c_int64(size)
    ) == 0:
        return
    code = ctypes.get_errno()
    if code not in _UNSUPPORTED | {errno.EINTR}:
        raise OSError(code, os.strerror(code))


class WriteBehind:
    """Has a file written to the disk while it grows, and kept out of memory.

    The final fsync then has little left to wait for, and a copy of many GiB
    does not push everything else out of the host's page cache.
    """

    def __init__(self, fd):
        self._fd = fd
        self._begun = 0
        self._forgotten = 0

    def wrote(self, position):
        """The file has grown up to ``position``."""
        if position - self._begun >= _CALL_BYTES:
            self._advise(self._begun, position)
            self._begun = position
        if self._begun - self._forgotten >= 2 * _UNWRITTEN_BYTES:
            end = self._begun - _UNWRITTEN_BYTES
            self._advise(self._forgotten, end)
            self._forgotten = end

    def _advise(self, start, end):
        # Starts writing what is dirty, and drops what has been written.
        os.posix_fadvise(
            self._fd, start, end - start, os.POSIX_FADV_DONTNEED
        )


def copy_extent(extent, target_fd, target_offset):
    """Put bytes of a spool into a file that has nothing there yet.

    :param extent: :class:`~transfer.pieces.Extent`
    :returns: how many of them are dealt with, as :func:`copy_range` does
    """
    if extent.data is None:
        return copy_range(
            extent.fd, extent.offset, target_fd, target_offset, extent.length
        )
    if not extent.hole():
        _write(target_fd, extent.data, target_offset)
    return extent.length


def copy_range(source_fd, source_offset, target_fd, target_offset, count):
    """Copy up to ``count`` bytes between files; a hole stays a hole.

    :returns: how many bytes of the range are dealt with, at least one unless
        the source ends here. The caller has the target truncated to its full
        size, so that a hole at the end exists.
    """
    data = holes.next_data(source_fd, source_offset, count)
    if data > source_offset:
        return data - source_offset
    try:
        hole = os.lseek(source_fd, source_offset, os.SEEK_HOLE)
    except OSError as exc:
        if exc.errno == errno.ENXIO:   # the source ends here
            return 0
        raise
    count = min(count, _CALL_BYTES, hole - source_offset)
    try:
        return os.copy_file_range(
            source_fd, target_fd, count, source_offset, target_offset
        )
    except OSError as exc:
        if exc.errno not in _UNSUPPORTED:
            raise
    return _copy_through(
        source_fd, source_offset, target_fd, target_offset, count
    )


def _copy_through(source_fd, source_offset, target_fd, target_offset, count):
    """Copy where the kernel cannot, as between two kinds of file system."""
    chunk = os.pread(source_fd, min(count, 1024 * 1024), source_offset)
    _write(target_fd, chunk, target_offset)
    return len(chunk)


def _write(fd, data, offset):
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
