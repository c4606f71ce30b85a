# SPDX-License-Identifier: Apache-2.0

"""A growing staging area with one writer and several followers.

The spool holds one image as a row of *pieces*. A piece is either a segment
file that the spool wrote, or a local file of the source store that it
*borrows*: bytes that are on this machine already are not written a second
time. Followers read bytes as soon as they are there; the end of the image is
withheld from them until the writer has approved the whole. Zeroes take no room
on the disk: they are holes of the files.

With a window, the spool never holds more than that many bytes: a segment that
every follower has passed is removed, and the writer waits for the slowest.
"""

import contextlib
import dataclasses
import os
import threading

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import follower
from glance_copy_plugin.transfer import holes


@dataclasses.dataclass
class _Piece:
    start: int          # offset of its first byte within the image
    fd: int
    path: str | None    # None: borrowed, not ours to remove
    length: int = 0

    @property
    def end(self):
        return self.start + self.length

    def fd_offset(self, offset):
        """Where in the file the image's byte ``offset`` is."""
        return offset if self.path is None else offset - self.start


@dataclasses.dataclass(frozen=True)
class Extent:
    """A run of bytes that can be read now: file, offset in it, length."""

    fd: int
    offset: int
    length: int


class Spool:
    """One attempt at staging one image.

    :param folder: directory of this copy, for segment files; made when the
        first one is written
    :param size: size of the image in bytes
    :param cancel: the copy's :class:`CancelToken`
    :param followers: names of those who will follow; until one of them is
        closed, nothing that it has not passed is removed
    :param window: the most bytes that segment files may hold together, or
        None for no limit
    :param reserve: called before the first segment file is made; returns
        when there is space for what this spool may write
    """

    def __init__(
        self, folder, *, size, cancel, followers, window=None, reserve=None
    ):
        self.folder = folder
        self.size = size
        self.position = 0
        self.approved = False
        self.hexdigests = {}
        self.error = None
        self._ended = False     # the writer is done with it
        self._cancel = cancel
        self._window = window
        self._reserve = reserve
        # A quarter: one segment can be filled while others are being read.
        self._segment_size = max(1, window // 4) if window else None
        self._pieces = []
        self._made = 0
        self._changed = threading.Condition()
        self._followers = {
            name: follower.Follower(self, name) for name in followers
        }
        cancel.on_cancel(self._wake)

    # The writer's side.

    def write(self, data):
        """Append ``data``; wait for room if there is a window.

        :raises: :class:`StagingError` if the staging area cannot take it
        """
        view = memoryview(data)
        while view:
            with self._changed:
                self._check()
            piece = self._open_segment()
            count = len(view)
            if self._segment_size:
                count = min(count, self._segment_size - piece.length)
                self._wait_for_room(count)
            self._write_all(piece, view[:count])
            view = view[count:]
            self._grow(piece, count)

    def borrow(self, fd):
        """Take what follows ``position`` from the local file ``fd``.

        The spool closes ``fd``. Bytes become readable by :meth:`advance`.
        """
        with self._changed:
            self._pieces.append(_Piece(self.position, fd, None))

    def advance(self, count):
        """Say that ``count`` more bytes of the borrowed file were checked."""
        self._grow(self._pieces[-1], count)

    def approve(self, hexdigests=None):
        """Release the end: the staged bytes are those of the image.

        :param hexdigests: their ``{algorithm: hex digest}``
        """
        with self._changed:
            self.hexdigests = hexdigests or {}
            self.approved = self._ended = True
            self._drop_passed()
            self._changed.notify_all()

    def reject(self, error):
        """End writing; make every follower fail with ``error``.

        What is staged goes when the last follower has noticed: a file that
        is being read cannot be closed under its reader.
        """
        with self._changed:
            self.error = self.error or error
            self._ended = True
            self._drop_rejected()
            self._changed.notify_all()

    def abandon(self, error):
        """Make writer and followers fail; for others than the writer."""
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()

    def wait_released(self, check):
        """Return when what was rejected is no longer on the disk.

        :param check: raises if there is no point in waiting any more
        """
        with self._changed:
            while self._pieces:
                check()
                self._changed.wait()

    def unlink(self):
        """Remove every file, for a writer that may still hold it open."""
        with self._changed:
            for piece in self._pieces:
                _unlink(piece)

    def close(self):
        """Remove every file; call it when nobody writes or reads any more."""
        with self._changed:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                _discard(piece)

    # The followers' side.

    def follower(self, name):
        """Return the follower of that name."""
        return self._followers[name]

    def follow_again(self, name):
        """Let that follower begin anew; only possible without a window."""
        with self._changed:
            self._followers[name] = follower.Follower(self, name)

    @property
    def sole_file(self):
        """The file that alone holds the whole image so far, if one does."""
        with self._changed:
            if len(self._pieces) == 1:
                piece = self._pieces[0]
                if piece.path is None and piece.start == 0:
                    return piece.fd
        return None

    def wait_beyond(self, offset):
        """Return how many bytes are there, once that is more than ``offset``.

        :raises: the error of this attempt, or the reason for cancelling
        """
        with self._changed:
            while self.position <= offset and not self.approved:
                self._check()
                self._changed.wait()
            self._check()
            return self.position

    def wait_approved(self):
        """Return when the whole image was found to be right.

        :raises: the error of this attempt, or the reason for cancelling
        """
        with self._changed:
            while not self.approved:
                self._check()
                self._changed.wait()
            self._check()

    def extent(self, offset, count):
        """Return an :class:`Extent` of at most ``count`` bytes."""
        with self._changed:
            self._check()
            for piece in self._pieces:
                if piece.start <= offset < piece.end:
                    return Extent(
                        piece.fd,
                        piece.fd_offset(offset),
                        min(count, piece.end - offset),
                    )
        raise errors.StagingError(f'byte {offset} is not staged')

    def passed(self):
        """Remove segments that no follower needs any more."""
        if self._window is None and self.error is None:
            return
        with self._changed:
            self._drop_rejected()
            self._drop_passed()
            self._changed.notify_all()

    # Internals.

    def _check(self):
        self._cancel.check()
        if self.error is not None:
            raise self.error

    def _wake(self):
        with self._changed:
            self._changed.notify_all()

    def _grow(self, piece, count):
        with self._changed:
            piece.length += count
            self.position += count
            self._drop_passed()
            self._changed.notify_all()

    def _open_segment(self):
        last = self._pieces[-1] if self._pieces else None
        full = (
            last is None
            or last.path is None
            or (self._segment_size and last.length >= self._segment_size)
        )
        if not full:
            return last
        if not self._made and self._reserve is not None:
            self._reserve()
        with _staging_errors():
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            path = os.path.join(self.folder, f'{id(self):x}-{self._made:06d}')
            fd = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        self._made += 1
        piece = _Piece(self.position, fd, path)
        with self._changed:
            self._pieces.append(piece)
        return piece

    def _write_all(self, piece, view):
        offset = piece.length
        with _staging_errors():
            if holes.is_zero(view):
                os.ftruncate(piece.fd, offset + len(view))
                return
            while view:
                written = os.pwrite(piece.fd, view, offset)
                view = view[written:]
                offset += written

    def _wait_for_room(self, count):
        with self._changed:
            while self._held() + count > self._window:
                self._check()
                self._changed.wait()

    def _held(self):
        return sum(p.length for p in self._pieces if p.path is not None)

    def _drop_rejected(self):
        if self.error is None or not self._ended:
            return
        if all(f.closed for f in self._followers.values()):
            while self._pieces:
                _discard(self._pieces.pop())

    def _drop_passed(self):
        if self._window is None:
            return
        open_followers = [f for f in self._followers.values() if not f.closed]
        slowest = min(
            (f.position for f in open_followers), default=self.position
        )
        while self._pieces:
            piece = self._pieces[0]
            complete = self.approved or piece is not self._pieces[-1] or (
                piece.path is not None and piece.length >= self._segment_size
            )
            if not complete or piece.end > slowest:
                return
            _discard(self._pieces.pop(0))


def _discard(piece):
    os.close(piece.fd)
    _unlink(piece)


def _unlink(piece):
    if piece.path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(piece.path)


@contextlib.contextmanager
def _staging_errors():
    try:
        yield
    except OSError as exc:
        raise errors.StagingError(
            f'cannot write: {exc.strerror}; free space there or set '
            '[copy_image] staging_window'
        ) from exc
