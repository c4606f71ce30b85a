# SPDX-License-Identifier: Apache-2.0

"""The pieces that a spool is made of: in memory, in files, borrowed files.

Each has a first byte ``start``, a ``length`` and an ``end`` within the image.
"""

import contextlib
import dataclasses
import os

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import holes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extent:
    """A run of bytes that can be read now.

    In memory, ``data`` holds them; in a file, they are ``length`` bytes of
    ``fd`` from ``offset`` on.
    """

    length: int
    data: bytes | None = None
    fd: int | None = None
    offset: int = 0

    def hole(self):
        """Return how many bytes at its begin need not be written.

        They are a hole of a file, or all there is in memory is zeroes.
        """
        if self.fd is None:
            return self.length if holes.is_zero(self.data) else 0
        return holes.next_data(
            self.fd, self.offset, self.length
        ) - self.offset

    def read(self):
        """Return its bytes, or fewer of a file; at least one.

        :raises: :class:`StagingError` if the file became shorter
        """
        if self.fd is None:
            return self.data
        data = os.pread(self.fd, self.length, self.offset)
        if not data:
            raise errors.StagingError('the staged file became shorter')
        return data


class Block:
    """Bytes in memory."""

    def __init__(self, start, data):
        self.start = start
        self.data = data
        self.length = len(data)
        self.end = start + len(data)

    def extent(self, offset, count):
        first = offset - self.start
        data = self.data[first:first + count]
        return Extent(length=len(data), data=data)

    def unlink(self):
        """There is no file."""

    def discard(self):
        """Memory is given back when nobody refers to it."""


class _File:
    """Bytes in a file, which is closed with the piece.

    :param fd: its number
    """

    def __init__(self, start, fd):
        self.start = start
        self.length = 0
        self._fd = fd

    @property
    def end(self):
        return self.start + self.length

    def discard(self):
        os.close(self._fd)
        self.unlink()

    def unlink(self):
        """Somebody else's file stays."""


class BorrowedFile(_File):
    """The local file of a source store; the whole image, with its offsets."""

    @property
    def fd(self):
        return self._fd

    def extent(self, offset, count):
        return Extent(
            fd=self._fd, offset=offset, length=min(count, self.end - offset)
        )


class Segment(_File):
    """A file of the staging area; zeroes are holes in it.

    :param path: of a file that does not exist yet
    :raises OSError: if it cannot be made
    """

    def __init__(self, start, path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        super().__init__(start, os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        ))
        self._path = path

    def append(self, data):
        """Write bytes behind its end, which stays where it is until told.

        :raises OSError: if there is no space for them
        """
        view, offset = memoryview(data), self.length
        if holes.is_zero(data):
            os.ftruncate(self._fd, offset + len(data))
            return
        while view:
            written = os.pwrite(self._fd, view, offset)
            view, offset = view[written:], offset + written

    def extent(self, offset, count):
        return Extent(
            fd=self._fd, offset=offset - self.start,
            length=min(count, self.end - offset),
        )

    def unlink(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
