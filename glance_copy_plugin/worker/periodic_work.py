# SPDX-License-Identifier: Apache-2.0

"""What a worker does again and again, each thing in a thread of its own."""

import threading

from oslo_log import log as logging

from glance_copy_plugin import periodic
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import waiting_jobs
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class LeaseRenewer:
    """Renews each claim four times before it would expire.

    :param expiry: seconds that a claim lasts
    """

    def __init__(self, expiry):
        self._interval = expiry / 4
        self._lock = threading.Lock()
        self._claims = []

    def start(self):
        """Begin to renew."""
        _repeat('renew claims', self._renew, self._interval)

    def add(self, claim):
        """Renew a claim until it has ended."""
        with self._lock:
            self._claims.append(claim)

    def claims(self):
        """Return the claims that have not ended."""
        with self._lock:
            self._claims = [each for each in self._claims if not each.ended]
            return list(self._claims)

    def _renew(self):
        for claim in self.claims():
            try:
                claim.renew()
            except board_client.JobboardUnreachable:
                raise
            except Exception as exc:
                LOG.error(
                    'Cannot renew the claim of image %(image)s: %(why)s',
                    {'image': claim.image_id, 'why': errors.redact(exc)},
                )


class Registration:
    """Announces a worker on the jobboard, well before others forget it.

    One of all workers also looks after the copies that wait.

    :param board: :class:`Board`
    :param name: the worker's name
    :param stores: :class:`~jobs.Stores` of the worker
    """

    def __init__(self, board, name, stores):
        self._board = board
        self._name = name
        self._stores = stores
        self._waiting = waiting_jobs.WaitingJobs()
        self._periodic = ()

    def start(self):
        """Begin to announce."""
        self._periodic = (
            _repeat(
                'announce this worker', self._announce,
                self._board.expiry / 4, first=0,
            ),
            # Not at once: others may not have said yet that they live.
            _repeat(
                'look after waiting copies', self._look_after_waiting,
                self._board.expiry,
            ),
        )

    def stop(self):
        """Tell others at once that the worker lives no more."""
        for each in self._periodic:
            each.stop()
        self._periodic[0].join()
        try:
            self._board.withdraw(self._name)
        except board_client.JobboardUnreachable as exc:
            LOG.info('Cannot withdraw this worker from the jobboard: %s', exc)

    def _announce(self):
        self._board.announce(self._name, self._stores)

    def _look_after_waiting(self):
        workers = self._board.workers()
        if self._name == min(workers, default=None):
            self._waiting.look_after(workers.values())


def _repeat(what, work, seconds, first=None):
    """Begin to do something every so many seconds; return a Periodic.

    :param what: says what it is, after "cannot"
    :param work: called without arguments
    :param first: seconds before the first time, if not as many
    """
    def repeated():
        try:
            work()
        except board_client.JobboardUnreachable as exc:
            LOG.warning(
                'Cannot %(what)s: jobboard unreachable: %(why)s',
                {'what': what, 'why': exc},
            )

    started = periodic.Periodic(
        repeated, seconds, what=what, first=seconds if first is None else first
    )
    started.start()
    return started
