# SPDX-License-Identifier: Apache-2.0

"""What a worker tells others: that it lives, and what waits for whom."""

import threading
import time

from oslo_log import log as logging

from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.jobboard import details as details_
from glance_copy_plugin.jobboard import placement
from glance_copy_plugin.jobboard import posting
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

# A task that is written to less often than each hour loses its image.
_SAY_AGAIN_SECONDS = 600


class Herald:
    """A thread that announces the worker, well before others forget it.

    One of all workers also looks after the tasks of the copies that wait: a
    task that nobody writes to would lose its hold on the image, and its
    message says what it waits for. It posts those again that the board has
    forgotten.

    :param board: :class:`Board`
    :param name: the worker's name
    :param stores: :class:`~placement.Stores` of the worker
    """

    def __init__(self, board, name, stores):
        self._board = board
        self._name = name
        self._stores = stores
        self._interval = board.expiry / 4
        self._said = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='copy-image-herald', daemon=True
        )

    def start(self):
        self._thread.start()

    def stop(self):
        """Tell others at once that the worker lives no more."""
        self._stopped.set()
        self._thread.join()
        try:
            self._board.withdraw(self._name)
        except board_.BoardSilent as exc:
            LOG.info('This worker is not withdrawn from the board: %s', exc)

    def _run(self):
        rounds = 0
        while True:
            try:
                self._board.announce(self._name, self._stores)
                # The first time, others may not have said that they live.
                rounds += 1
                if rounds % 4 == 0:
                    self._look_after_waiting()
            except board_.BoardSilent as exc:
                LOG.warning('This worker cannot announce itself: %s', exc)
            except Exception as exc:
                LOG.error(
                    'The copies that wait were not looked after: %s',
                    errors.redact(exc),
                )
            if self._stopped.wait(self._interval):
                return

    def _look_after_waiting(self):
        workers = self._board.workers()
        if self._name != min(workers, default=None):
            return
        known = set()
        waiting = {}
        for job, owner in self._board.jobs():
            known.add(job.uuid)
            details = details_.of_job(job)
            if owner is None and details is not None:
                why = placement.obstacle(details, workers.values())
                waiting[details.task_id] = self._say(
                    details.task_id,
                    f'waiting: {why}' if why else 'waiting for a worker',
                )
        self._said = waiting
        posting.post_forgotten(known)

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
