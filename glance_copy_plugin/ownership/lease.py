# SPDX-License-Identifier: Apache-2.0

"""Who keeps others away from an image, also beyond the end of its copy."""

import abc
import threading


class Holder(abc.ABC):
    """A copy's right to its image, given up in one of two ways.

    Either the copy has ended (``_forget``), or another process may carry it
    on (``_free``). Both wait for what still hangs in a store.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._holds = 0
        self._put_off = None

    def hold(self):
        """Something of the copy lives on in this process, beyond its end.

        Until :meth:`let_go`, nobody else may have the image.
        """
        with self._lock:
            self._holds += 1

    def let_go(self):
        """Undo one :meth:`hold`, and do what was put off for it."""
        with self._lock:
            self._holds -= 1
            if not self._holds and self._put_off:
                self._put_off()

    def remove(self):
        """The copy has ended: forget it. Safe to call twice."""
        self._when_free(self._forget)

    def release(self):
        """Leave the copy to another process. Safe to call twice."""
        self._when_free(self._free)

    def _when_free(self, action):
        with self._lock:
            if not self._holds:
                action()
            elif self._put_off != self._forget:
                self._put_off = action

    @abc.abstractmethod
    def _forget(self):
        """Nobody has to look after the copy any more."""

    @abc.abstractmethod
    def _free(self):
        """Another process may have the copy."""
