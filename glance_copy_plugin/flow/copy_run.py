# SPDX-License-Identifier: Apache-2.0

"""One copy while it runs in this process."""

import time

from oslo_log import log as logging

from glance_copy_plugin.flow import copy_staging
from glance_copy_plugin.flow import monitor
from glance_copy_plugin.flow import store_calls
from glance_copy_plugin.reconcile import objects
from glance_copy_plugin.records import notifications
from glance_copy_plugin.records import retry
from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import progress

LOG = logging.getLogger(__name__)


class CopyRun:
    """What a copy holds, from its first task to its last.

    :param copy: :class:`Copy`
    :param lease: :class:`Lease` of this process
    :param record: :class:`ImageRecord`
    :param task: :class:`TaskRecord`
    :param running: the :class:`RunningCopies` of this process

    ``plan`` is its :class:`Plan` when that was made, ``staging`` its
    :class:`CopyStaging`, ``objects`` the :class:`ImageObjects` of its image.
    """

    def __init__(self, *, copy, lease, record, task, running):
        self.copy = copy
        self.lease = lease
        self.record = record
        self.task = task
        self.plan = None
        self.cancel = cancel_token.CancelToken()
        self.progress = progress.Progress(copy.stores)
        self.staging = copy_staging.CopyStaging(
            copy, self.cancel, self.progress
        )
        self.calls = store_calls.StoreCalls(copy, lease)
        self.objects = objects.ImageObjects(
            copy.image_id, record.facts, copy.context
        )
        self.notifications = notifications.Notifications(record)
        self.store_slots = limits.Slots(copy.options.max_parallel_stores)
        self._running = running
        self._monitor = monitor.Monitor(self)
        self._has_slot = False
        self._entered = None

    def enter(self):
        """Count the copy as one of this process, until it has ended.

        :returns: False if this process is being stopped: the copy has to be
            left to another one
        """
        if not self._running.enter(self):
            return False
        self._entered = time.monotonic()
        instrumentation.observer().begun()
        return True

    def start(self):
        """Begin to watch the records, and wait for a place to run."""
        self._monitor.start()
        self._running.slots.acquire(
            self.cancel, on_wait=lambda: self.progress.wait(progress.A_PLACE)
        )
        self._has_slot = True
        self.progress.go_on()

    def close(self):
        """Stop watching, remove staged data, give the place back.

        Called on every way out; safe to call twice.
        """
        self._monitor.stop()
        self.staging.close()
        if self._has_slot:
            self._has_slot = False
            self._running.slots.release()

    def leave(self):
        """Leave the copy to another process."""
        self.close()
        self._say_suspended()
        LOG.info(
            'The copy of image %s is left to the next process',
            self.copy.image_id,
        )
        self.lease.hand_over()
        self.ended(instrumentation.LEFT)

    def ended(self, result):
        """Nothing of this copy runs in this process any more.

        :param result: ``DONE``, ``FAILED`` or ``LEFT``
        """
        instrumentation.observer().ended(
            result, time.monotonic() - self._entered
        )
        self._running.leave(self)

    @property
    def suspended(self):
        """True if another process carries on, or shall do so."""
        return self.lease.lost or isinstance(
            self.cancel.error, errors.Suspended
        )

    @retry.retried
    def confirm(self):
        """Return if the copy is still this process's.

        Asked before something is removed from a store: it may be what the
        next process has just written there.

        :raises: :class:`LeaseLost`
        """
        self.lease.check()

    def stop(self, error):
        """Stop the copy because of ``error``, unless it is another's by now.

        Then nothing is stopped: a driver that is stopped half-way removes
        what it writes by its name, which the next process may have written.

        :returns: False if it is another's, or may be
        """
        try:
            self.confirm()
        except errors.LeaseLost:
            return False
        self.cancel.cancel(error)
        return True

    def _say_suspended(self):
        if self.lease.lost:
            # The next process has something to say by now.
            return
        try:
            self.task.say(progress.SUSPENDED)
        except Exception as exc:
            LOG.info(
                'Cannot say in the task that the copy of image %(image)s is '
                'suspended: %(why)s',
                {'image': self.copy.image_id, 'why': errors.redact(exc)},
            )
