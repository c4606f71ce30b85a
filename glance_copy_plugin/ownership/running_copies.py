# SPDX-License-Identifier: Apache-2.0

"""The copies that run in this process, and their places."""

import threading

from oslo_config import cfg

from glance_copy_plugin import process_state
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import limits

CONF = cfg.CONF


class RunningCopies:
    """Those that have begun here and not ended.

    :param places: how many of them may move bytes at the same time

    ``slots`` are the :class:`Slots` of these places.
    """

    def __init__(self, places):
        self.slots = limits.Slots(places)
        self._changed = threading.Condition()
        self._running = set()
        self._stopping = False

    @property
    def stopping(self):
        """True once this process is being stopped."""
        return self._stopping or not threading.main_thread().is_alive()

    def enter(self, run):
        """Count a copy as one of this process.

        :param run: :class:`CopyRun`
        :returns: False if this process is being stopped: the copy has to be
            left to another one
        """
        with self._changed:
            if not self._stopping:
                self._running.add(run)
            return not self._stopping

    def leave(self, run):
        """Nothing of that copy runs in this process any more."""
        with self._changed:
            self._running.discard(run)
            self._changed.notify_all()

    def suspend(self, seconds):
        """Stop every copy of this process; another one carries them on.

        From now on, none begins here.

        :param seconds: how long to wait for them
        :returns: True if all have stopped
        """
        with self._changed:
            self._stopping = True
            running = list(self._running)
        # Nothing that was lost is disturbed: a driver that is stopped removes
        # what it writes by its name, which may be another process's by now.
        for run in [each for each in running if not each.lease.lost]:
            run.cancel.cancel(errors.Suspended('the service is being stopped'))
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)


@process_state.once
def of_process():
    """Return the :class:`RunningCopies` of this process."""
    return RunningCopies(CONF[copy_image.GROUP].max_concurrent_copies)
