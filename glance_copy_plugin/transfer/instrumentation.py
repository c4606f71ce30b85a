# SPDX-License-Identifier: Apache-2.0

"""What a process tells of its copies, to whoever counts them."""

from glance_copy_plugin import process_state

# How a copy has ended in this process.
DONE, FAILED, LEFT = 'done', 'failed', 'left'
# What was tried again.
READING, WRITING = 'reading', 'writing'


class Observer:
    """Is told what happens, by many threads; this one takes no notice.

    Nothing that it is told names an image, a project or a user.
    """

    def looked(self):
        """The process has looked for jobs, or has its hands full."""

    def begun(self):
        """A copy runs in this process now."""

    def ended(self, result, seconds):
        """A copy runs in this process no more.

        :param result: ``DONE``, ``FAILED``, or ``LEFT`` to another process
        :param seconds: how long it ran here
        """

    def received(self, store, count):
        """A store has got ``count`` more bytes."""

    def retried(self, what):
        """Something is tried again, ``READING`` or ``WRITING``."""

    def taken_over(self):
        """A copy is carried on whose process ended without a word."""


class _Current:
    observer = Observer()


_current = process_state.once(_Current)


def use(observer):
    """Tell this one from now on."""
    _current().observer = observer


def observer():
    """Return whom to tell."""
    return _current().observer


class Counted:
    """Tells of the bytes that a store gets, from how many it has so far.

    :param store: name of the store
    """

    def __init__(self, store):
        self._store = store
        self._count = 0

    def restart(self):
        """The store gets the image from its first byte again."""
        self._count = 0

    def reached(self, count):
        """The store has got this many bytes of the image."""
        if count > self._count:
            observer().received(self._store, count - self._count)
            self._count = count
