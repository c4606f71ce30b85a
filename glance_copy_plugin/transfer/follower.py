# SPDX-License-Identifier: Apache-2.0

"""Reading a spool while it grows."""

import contextlib

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import timeouts


class Follower:
    """One reader of a spool; used by one thread.

    ``position`` is how many bytes it has taken; ``idle`` tells for how
    long it has not asked for more.
    """

    def __init__(self, spool, name):
        self.spool = spool
        self.name = name
        self.position = 0
        self.closed = False
        self.idle = timeouts.IdleTimer()

    @property
    def size(self):
        """Size of the image in bytes."""
        return self.spool.size

    @property
    def hexdigests(self):
        """``{algorithm: hex digest}`` of the image, once it was approved."""
        return self.spool.hexdigests

    def extent(self, count):
        """Wait for bytes at ``position``; return them as an Extent.

        Returns None at the end of the image, and only once all of it was
        approved.

        :raises: the error of this attempt, or the reason for cancelling
        """
        with self._waiting():
            if self.position >= self.size:
                self.spool.wait_approved()
                return None
            self.spool.wait_beyond(self.position)
            return self.spool.extent(self.position, count)

    def wait_begun(self):
        """Return when the first bytes are there."""
        with self._waiting():
            self.spool.wait_beyond(0)

    def wait_approved(self):
        """Return when the whole image was found to be right."""
        with self._waiting():
            self.spool.wait_approved()

    def take(self, count):
        """Wait for ``count`` bytes, and take them; fewer at the end.

        :raises: as :meth:`extent`
        """
        left = min(count, self.size - self.position)
        taken = []
        while left:
            data = self.extent(left).read()
            self.took(len(data))
            taken.append(data)
            left -= len(data)
        return taken[0] if len(taken) == 1 else b''.join(taken)

    def took(self, count):
        """Say that ``count`` bytes were taken."""
        self.position += count
        self.spool.passed()

    def close(self):
        """Stop following: nothing is kept for this reader any more."""
        self.closed = True
        self.spool.passed()

    @contextlib.contextmanager
    def _waiting(self):
        if self.closed:
            # By whoever has given up on the thread that asks.
            raise errors.StagingError(
                'nothing is staged for this store any more'
            )
        self.idle.answered()
        try:
            yield
        finally:
            self.idle.asked()
