# SPDX-License-Identifier: Apache-2.0

"""The one switch that stops every part of a copy."""

import threading


class CancelToken:
    """Carries the reason for stopping to every thread of one copy.

    The first reason wins. Threads that work call ``check`` once per chunk;
    threads that sleep on a condition of their own have themselves woken up
    by a callback registered with ``on_cancel``.
    """

    def __init__(self):
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks = []
        self.error = None

    @property
    def cancelled(self):
        return self._event.is_set()

    def cancel(self, error):
        """Stop the copy because of ``error`` (a :class:`CopyError`)."""
        with self._lock:
            if self.error is not None:
                return
            self.error = error
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def check(self):
        """Raise the reason if the copy was stopped."""
        if self._event.is_set():
            raise self.error

    def wait(self, seconds):
        """Sleep for at most ``seconds``; raise the reason if stopped."""
        self._event.wait(seconds)
        self.check()

    def on_cancel(self, callback):
        """Have ``callback()`` called when the copy is stopped."""
        with self._lock:
            if self.error is None:
                self._callbacks.append(callback)
                return
        callback()
