# SPDX-License-Identifier: Apache-2.0

"""A thread that does what could not be done, or not in its place."""

import logging
import queue
import threading
import time

from glance_store_cinder import errors

LOG = logging.getLogger(__name__)

_LOOK = 5
_PAUSE = 5
_LONGEST_PAUSE = 300


class Janitor:
    """Calls functions until they succeed, each some time after the other.

    The thread begins with the first use, so that a process that forks its
    workers has none to lose.

    :param look: called every few seconds beside that; does not raise
    """

    def __init__(self, look):
        self._look = look
        # The only kind that a destructor may put something into.
        self._queue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread = None

    def ensure_running(self):
        """Start the thread unless it runs; not to be called by destructors."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name='cinder-janitor', daemon=True
                )
                self._thread.start()

    def add(self, function):
        """Have a function called, soon, until it does not raise."""
        self._queue.put(function)

    def _run(self):
        waiting = []
        while True:
            try:
                function = self._queue.get(timeout=_next(waiting))
                waiting.append((time.monotonic(), _PAUSE, function))
            except queue.Empty:
                self._look()
            waiting = [
                left for entry in waiting
                if (left := _try(*entry)) is not None
            ]


def _next(waiting):
    """Return the seconds until something is due, or worth a look."""
    due = min((due for due, _, _ in waiting), default=float('inf'))
    return min(_LOOK, max(0.1, due - time.monotonic()))


def _try(due, pause, function):
    """Return the entry for another time, or None if it is done."""
    if time.monotonic() < due:
        return due, pause, function
    try:
        function()
    except Exception as exc:
        if errors.is_passing(exc):
            LOG.warning('Tried in vain, again in %(pause)d s: %(why)s', {
                'pause': pause, 'why': exc,
            })
            return (
                time.monotonic() + pause, min(2 * pause, _LONGEST_PAUSE),
                function,
            )
        LOG.exception('A volume stays attached')
    return None
