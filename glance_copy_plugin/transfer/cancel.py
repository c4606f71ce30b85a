# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
