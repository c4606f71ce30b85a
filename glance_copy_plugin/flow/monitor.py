# SPDX-License-Identifier: Apache-2.0

"""Watching the records while a copy runs, and telling how far it is."""

import threading

from oslo_log import log as logging

from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class Monitor:
    """A thread that looks at the records at every interval.

    It writes the progress to the task, which keeps the image's lock fresh,
    and stops the copy when somebody deleted or deactivated the image, ended
    the task, or took the lock. A database that does not answer never fails a
    copy here: the next look is not far.
    """

    def __init__(self, run):
        self._run = run
        self._interval = run.options.progress_interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name='copy-image-monitor', daemon=True
        )

    def start(self):
        self._thread.start()

    def stop(self):
        """Return when the last look is over."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self):
        while True:
            try:
                # A copy that is being stopped leaves its task's message to
                # whoever ends the task, or has ended it.
                if not (self._run.cancel.cancelled or self._run.suspended):
                    self._look()
                    self._run.task.say(self._run.progress.render())
            except errors.CopyError as exc:
                self._stop(exc)
            except Exception as exc:
                LOG.info(
                    'Progress of the copy of image %(image)s was not '
                    'written: %(why)s',
                    {'image': self._run.image_id, 'why': errors.redact(exc)},
                )
            if self._stopped.wait(self._interval):
                return

    def _stop(self, reason):
        try:
            if not self._run.stop(reason):
                return
        except errors.ClaimUnsure as exc:
            LOG.info('Looking again whether to stop a copy: %s', exc)
            return
        LOG.warning(
            'The copy of image %(image)s is stopped: %(why)s',
            {'image': self._run.image_id, 'why': reason},
        )

    def _look(self):
        facts = self._run.record.read()
        if facts.lock != self._run.task_id:
            raise image_record.LockLost(
                'the image is locked for another task'
            )
        if facts.status != 'active':
            raise errors.Cancelled(
                f'the image became {facts.status} while it was copied'
            )
        if not self._run.task.running():
            raise errors.Cancelled('the task was ended by somebody else')
