# SPDX-License-Identifier: Apache-2.0

"""What a worker tells others: that it lives, and what waits for whom."""

import threading

from oslo_log import log as logging

from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.jobboard import waiting_jobs
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class Registration:
    """A thread that announces the worker, well before others forget it.

    One of all workers also looks after the copies that wait.

    :param board: :class:`Board`
    :param name: the worker's name
    :param stores: :class:`~job.Stores` of the worker
    """

    def __init__(self, board, name, stores):
        self._board = board
        self._name = name
        self._stores = stores
        self._interval = board.expiry / 4
        self._waiting = waiting_jobs.Waiting(board)
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='copy-image-registration', daemon=True
        )

    def start(self):
        self._thread.start()

    def stop(self):
        """Tell others at once that the worker lives no more."""
        self._stopped.set()
        self._thread.join()
        try:
            self._board.withdraw(self._name)
        except board_.JobboardUnreachable as exc:
            LOG.info('This worker is not withdrawn from the jobboard: %s', exc)

    def _run(self):
        rounds = 0
        while True:
            try:
                self._board.announce(self._name, self._stores)
                # The first time, others may not have said that they live.
                rounds += 1
                if rounds % 4 == 0:
                    self._look_after_waiting()
            except board_.JobboardUnreachable as exc:
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
        if self._name == min(workers, default=None):
            self._waiting.look_after(workers.values())
