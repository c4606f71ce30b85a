# SPDX-License-Identifier: Apache-2.0

"""Limits on what copies may use: bandwidth and places."""

import collections
import threading
import time


class BandwidthLimit:
    """A token bucket that lets ``rate`` bytes per second pass.

    :param rate: bytes per second, or None for no limit
    :param cancel: the copy's :class:`CancelToken`; ends a wait at once
    """

    def __init__(self, rate, cancel):
        self._rate = rate
        self._cancel = cancel
        self._lock = threading.Lock()
        self._ready_at = time.monotonic()

    def chunk(self, preferred):
        """Return a chunk size in bytes small enough to keep the rate even."""
        if not self._rate:
            return preferred
        return max(1, min(preferred, self._rate // 4))

    def consume(self, count):
        """Account for ``count`` bytes; sleep until they were allowed."""
        if not self._rate:
            return
        now = time.monotonic()
        with self._lock:
            self._ready_at = max(self._ready_at, now) + count / self._rate
            seconds = self._ready_at - now
        self._cancel.wait(seconds)


class Slots:
    """A number of places, given out first come, first served.

    :param count: how many may hold a place at once, or None for no limit
    """

    def __init__(self, count):
        self.count = count
        self._lock = threading.Condition()
        self._held = 0
        self._queue = collections.deque()

    def acquire(self, cancel, on_wait=None):
        """Take a place; wait for one if need be.

        :param on_wait: called if there is none right now
        :raises: the reason of ``cancel`` if the copy is stopped meanwhile
        """
        if self.count is None:
            return
        cancel.on_cancel(self._wake)
        with self._lock:
            ticket = object()
            self._queue.append(ticket)
            try:
                if on_wait is not None and not self._is_next(ticket):
                    on_wait()
                while not self._is_next(ticket):
                    cancel.check()
                    self._lock.wait()
                cancel.check()
                self._held += 1
            finally:
                self._queue.remove(ticket)
                self._lock.notify_all()

    def release(self):
        """Give a place back."""
        if self.count is None:
            return
        with self._lock:
            self._held -= 1
            self._lock.notify_all()

    def _is_next(self, ticket):
        return self._queue[0] is ticket and self._held < self.count

    def _wake(self):
        with self._lock:
            self._lock.notify_all()
