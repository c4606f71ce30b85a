# SPDX-License-Identifier: Apache-2.0

"""The copies that wait on the jobboard, and what their tasks say meanwhile."""

import time

from oslo_log import log as logging

from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.jobboard import posting
from glance_copy_plugin.records import tasks

LOG = logging.getLogger(__name__)

# A task that is written to less often than each hour loses its image.
_SAY_AGAIN_SECONDS = 600


class WaitingJobs:
    """Looks after the copies that no worker has taken yet.

    A task that nobody writes to would lose its hold on the image, and its
    message says what it waits for. Those that the jobboard has forgotten are
    posted again.
    """

    def __init__(self):
        self._said = {}

    def look_after(self, workers):
        """Look at each of them once.

        :param workers: :class:`~jobs.Stores` of the workers that live
        :raises: :class:`JobboardUnreachable`
        """
        known = set()
        waiting = {}
        for job, owner in board_client.of_process().jobs():
            known.add(job.uuid)
            if owner is None:
                why = jobs.obstacle(job.details, workers)
                task_id = job.details.task_id
                waiting[task_id] = self._say(
                    task_id,
                    f'waiting: {why}' if why else 'waiting for a worker',
                )
        self._said = waiting
        posting.post_forgotten(known)

    def look_after_without_workers(self):
        """Do so in the Image service, if there is no worker to do it."""
        try:
            if board_client.of_process().workers():
                # They say what the tasks say from now on.
                self._said = {}
            else:
                self.look_after(())
        except board_client.JobboardUnreachable as exc:
            LOG.debug('Jobboard unreachable: %s', exc)

    def _say(self, task_id, message):
        """Write a message to a task, unless it was written lately.

        :returns: what was written, and when
        """
        now = time.monotonic()
        before, when = self._said.get(task_id, (None, now))
        if message == before and now - when < _SAY_AGAIN_SECONDS:
            return before, when
        tasks.say_waiting(task_id, message)
        return message, now
