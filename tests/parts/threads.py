# SPDX-License-Identifier: Apache-2.0

"""Threads that give back what they returned or raised."""

import threading

# Far beyond what any step takes: a test that waits so long has failed.
PATIENCE = 120


class Running:
    """A function that runs in a thread of its own."""

    def __init__(self, function, *args, **kwargs):
        self._call = (function, args, kwargs)
        self._value = None
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        function, args, kwargs = self._call
        try:
            self._value = function(*args, **kwargs)
        except BaseException as exc:
            self._error = exc

    def is_alive(self):
        """True until it has ended."""
        return self._thread.is_alive()

    def result(self, patience=PATIENCE):
        """Wait for the end; return the value, or raise the error."""
        self._thread.join(patience)
        assert not self._thread.is_alive(), 'still running: it hangs'
        if self._error is not None:
            raise self._error
        return self._value


def until(condition, holds):
    """Wait, with ``condition`` held, until ``holds()``."""
    with condition:
        assert condition.wait_for(holds, PATIENCE), 'it never came true'


class Observed(threading.Condition):
    """A condition that says when somebody waits for it."""

    def __init__(self):
        super().__init__()
        self._sleepers = 0
        self._more = threading.Condition()

    def wait(self, timeout=None):
        # The lock is held here: whoever takes it next finds us asleep.
        with self._more:
            self._sleepers += 1
            self._more.notify_all()
        try:
            return super().wait(timeout)
        finally:
            with self._more:
                self._sleepers -= 1

    def wait_for_sleepers(self, count=1):
        """Return when ``count`` threads wait for this condition."""
        until(self._more, lambda: self._sleepers >= count)
        with self:
            """The last of them has let go of the lock: it sleeps."""


def observe(thing, name='_changed'):
    """Exchange the condition of ``thing`` before anybody uses it."""
    condition = Observed()
    setattr(thing, name, condition)
    return condition
