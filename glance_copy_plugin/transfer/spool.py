# SPDX-License-Identifier: Apache-2.0

"""A growing image with one writer and several followers.

The spool holds what some follower still needs of an image, as a row of
*pieces* (see :mod:`pieces`). What was read last is in memory. The writer is
never further ahead of the fastest follower than that; what a slower one still
needs then goes to the staging area, where zeroes take no room. A local file of
the source store is *borrowed*: bytes that are on this machine already are not
written a second time.

Followers read bytes as soon as they are there; the end of the image is
withheld from them until the writer has approved the whole.
"""

import contextlib
import os
import threading

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import follower
from glance_copy_plugin.transfer import pieces

# The staging area gets room back in steps of so much, or of a part of a very
# large image: each step is an open file.
_SEGMENT_BYTES = 64 * 1024 ** 2
_SEGMENTS = 64


class Spool:
    """One attempt at staging one image.

    :param folder: directory of this copy, for segment files; made when the
        first one is written
    :param size: size of the image in bytes
    :param cancel: the copy's :class:`CancelToken`
    :param followers: names of those who will follow; until one of them is
        closed, nothing that it has not passed is removed
    :param memory: the most bytes to keep in memory
    :param window: the most bytes that segment files may hold together, or
        None for no limit
    :param reserve: called before the first segment file is made; returns
        when there is space for what this spool may write
    """

    def __init__(
        self, folder, *, size, cancel, followers, memory, window=None,
        reserve=None,
    ):
        self.folder = folder
        self.size = size
        self.position = 0
        self.approved = False
        self.hexdigests = {}
        self.error = None
        self._ended = False     # the writer is done with it
        self._cancel = cancel
        self._memory = min(memory, window or memory)
        # A quarter: some can be read while one is being filled.
        self._block_size = max(1, self._memory // 4)
        self._window = window
        self._segment_size = max(1, window // 4) if window else max(
            _SEGMENT_BYTES, size // _SEGMENTS
        )
        self._reserve = reserve
        self._pieces = []
        self._filling = None    # the segment that a block is written to
        self._made = 0
        self._changed = threading.Condition()
        self._followers = {
            name: follower.Follower(self, name) for name in followers
        }
        cancel.on_cancel(self._wake)

    # The writer's side.

    def write(self, data):
        """Append ``data``; wait until there is room for it.

        :raises: :class:`StagingError` if the staging area cannot take what
            has to go there
        """
        for start in range(0, len(data), self._block_size):
            part = bytes(data[start:start + self._block_size])
            self._make_room(len(part))
            with self._changed:
                self._check()
                self._pieces.append(pieces.Block(self.position, part))
                self._grow(len(part))

    def borrow(self, fd):
        """Take what follows ``position`` from the local file ``fd``.

        The spool closes ``fd``. Bytes become readable by :meth:`advance`.
        """
        with self._changed:
            self._pieces.append(pieces.BorrowedFile(self.position, fd))

    def advance(self, count):
        """Say that ``count`` more bytes of the borrowed file were checked."""
        with self._changed:
            self._pieces[-1].length += count
            self._grow(count)

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
                piece.unlink()

    def close(self):
        """Remove every file; call it when nobody writes or reads any more."""
        with self._changed:
            self._drop_all()

    # The followers' side.

    def follower(self, name):
        """Return the follower of that name."""
        return self._followers[name]

    @property
    def sole_file(self):
        """The file that alone holds the whole image so far, if one does."""
        with self._changed:
            if len(self._pieces) == 1:
                (piece,) = self._pieces
                if isinstance(piece, pieces.BorrowedFile) and not piece.start:
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
        """Return a :class:`pieces.Extent` of at most ``count`` bytes."""
        with self._changed:
            self._check()
            for piece in self._pieces:
                if piece.start <= offset < piece.end:
                    return piece.extent(offset, count)
        raise errors.StagingError(f'byte {offset} is not staged')

    def passed(self):
        """Remove what no follower needs any more."""
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

    def _grow(self, count):
        self.position += count
        self._drop_passed()
        self._changed.notify_all()

    def _make_room(self, count):
        """Have memory for so many bytes: wait, or write to the disk."""
        while block := self._block_to_spill(count):
            self._spill(block)

    def _block_to_spill(self, count):
        """Return the block that has to leave memory, once one may."""
        with self._changed:
            while True:
                self._check()
                blocks = [
                    each for each in self._pieces
                    if isinstance(each, pieces.Block)
                ]
                held = sum(each.length for each in blocks)
                if not blocks or held + count <= self._memory:
                    return None
                if self._may_spill(blocks[0]):
                    return blocks[0]
                self._changed.wait()

    def _may_spill(self, block):
        """True if somebody is past it, and there is room in the window."""
        if not any(each.position >= block.end for each in self._open()):
            return False
        held = sum(
            each.length for each in self._pieces
            if isinstance(each, pieces.Segment)
        )
        return self._window is None or held + block.length <= self._window

    def _spill(self, block):
        """Move a block from memory into a segment of the staging area."""
        if not self._made and self._reserve is not None:
            self._reserve()
        with self._changed:
            if block not in self._pieces:
                # Everybody has passed it meanwhile.
                return
            # It, and what follows it, stays until this is done.
            self._filling = self._segment_for(block)
        try:
            with _staging_errors():
                self._filling.append(block.data)
        except BaseException:
            self._filling = None
            raise
        with self._changed:
            self._filling.length += block.length
            self._pieces.remove(block)
            self._filling = None
            self._drop_passed()
            self._changed.notify_all()

    def _segment_for(self, block):
        """Return the segment that ends where the block begins, or a new one.
        """
        index = self._pieces.index(block)
        before = self._pieces[index - 1] if index else None
        if (
            isinstance(before, pieces.Segment)
            and before.length + block.length <= self._segment_size
        ):
            return before
        path = os.path.join(self.folder, f'{id(self):x}-{self._made:06d}')
        with _staging_errors():
            made = pieces.Segment(block.start, path)
        self._made += 1
        self._pieces.insert(index, made)
        return made

    def _open(self):
        return [each for each in self._followers.values() if not each.closed]

    def _drop_rejected(self):
        if self.error is not None and self._ended and not self._open():
            self._drop_all()

    def _drop_all(self):
        while self._pieces:
            self._pieces.pop().discard()

    def _drop_passed(self):
        slowest = min(
            (each.position for each in self._open()), default=self.position
        )
        while self._pieces and self._pieces[0].end <= slowest:
            piece = self._pieces[0]
            grows = piece is self._filling or (
                isinstance(piece, pieces.BorrowedFile)
                and piece is self._pieces[-1] and not self._ended
            )
            if grows:
                return
            self._pieces.pop(0).discard()


@contextlib.contextmanager
def _staging_errors():
    try:
        yield
    except OSError as exc:
        raise errors.StagingError(
            f'cannot write: {exc.strerror}; free space there or set '
            '[copy_image] staging_window'
        ) from exc
