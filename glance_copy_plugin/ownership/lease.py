# SPDX-License-Identifier: Apache-2.0

"""The right to work on a copy, which one process has at a time."""

import abc
import threading


class Lease(abc.ABC):
    """A copy's right to its image, whoever keeps the record of it.

    It is given up in one of two ways: the copy has ended (:meth:`remove`), or
    another process may carry it on (:meth:`release`). Both wait for what
    still hangs in a store.

    :param image_id: id of the image

    ``attempts`` is how often the copy was begun and not ended; ``lost`` is
    true if it is known that another process may have the copy.
    """

    lost = False

    def __init__(self, image_id):
        self.image_id = image_id
        self.attempts = 0
        self._lock = threading.Lock()
        self._holds = 0
        self._put_off = None

    @abc.abstractmethod
    def check(self):
        """Return if the copy is still this process's.

        MUST be asked before every write to a record and every removal.

        :raises: :class:`LeaseLost`; :class:`LeaseUnsure` if that cannot be
            known now
        """

    @abc.abstractmethod
    def save(self):
        """Write down ``attempts``, so that it survives this process."""

    @abc.abstractmethod
    def hand_over(self):
        """Release a copy that was stopped in an orderly way.

        However often that happens, it says nothing against the copy.
        """

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
