# SPDX-License-Identifier: Apache-2.0

"""Watching the records while a copy runs, and telling how far it is."""

from oslo_log import log as logging

from glance_copy_plugin import periodic
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class Monitor:
    """Looks at the records at every interval.

    It writes the progress to the task, which keeps the image's lock fresh,
    and stops the copy when somebody deleted or deactivated the image, ended
    the task, or took the lock. A database that does not answer never fails a
    copy here: the next look is not far.

    :param run: :class:`CopyRun`
    """

    def __init__(self, run):
        self._run = run
        self._periodic = periodic.Periodic(
            self._look_once, run.copy.options.progress_interval,
            what='look after a copy',
        )

    def start(self):
        """Begin to look."""
        self._periodic.start()

    def stop(self):
        """Return when the last look is over."""
        self._periodic.stop()
        self._periodic.join()

    def _look_once(self):
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
                'Progress of the copy of image %(image)s was not written: '
                '%(why)s', {
                    'image': self._run.copy.image_id,
                    'why': errors.redact(exc),
                },
            )

    def _stop(self, reason):
        try:
            if not self._run.stop(reason):
                return
        except errors.LeaseUnsure as exc:
            LOG.info('Looking again whether to stop a copy: %s', exc)
            return
        LOG.warning(
            'The copy of image %(image)s is stopped: %(why)s',
            {'image': self._run.copy.image_id, 'why': reason},
        )

    def _look(self):
        facts = self._run.record.read()
        if facts.lock != self._run.copy.task_id:
            raise image_record.LockLost(
                'the image is locked for another task'
            )
        if facts.status != 'active':
            raise errors.Cancelled(
                f'the image became {facts.status} while it was copied'
            )
        if not self._run.task.running():
            raise errors.Cancelled('the task was ended by somebody else')
