# SPDX-License-Identifier: Apache-2.0

"""TaskFlow's conductor, with jobs that are copies."""

from concurrent import futures
import itertools
import threading

from oslo_log import log as logging
from taskflow import exceptions
from taskflow.conductors.backends import impl_nonblocking
from taskflow.types import timing

from glance_copy_plugin.flow import takeover
from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.jobboard import details as details_
from glance_copy_plugin.ownership import job_lease
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.worker import queue

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_AFTER_FAILURE_SECONDS = 5


class CopyConductor(impl_nonblocking.NonBlockingConductor):
    """Claims jobs and brings their copies to an end.

    What a copy has to do stands in Glance's own records, so that it is made
    afresh from them instead of from a flow that TaskFlow has kept.

    :param name: the worker's name on the jobboard
    :param board: :class:`Board`
    :param renewer: :class:`LeaseRenewer`
    :param stores: :class:`~placement.Stores` of this worker
    :param concurrency: how many copies may run at the same time
    """

    def __init__(self, name, board, renewer, stores, concurrency):
        self._queue = ClaimableJobs(board, renewer, stores, concurrency)
        self._pause = Pause(_POLL_SECONDS)
        super().__init__(
            name, self._queue, wait_timeout=self._pause,
            max_simultaneous_jobs=concurrency,
            # TaskFlow's own would count a thread that could not be started.
            executor_factory=lambda *_conductor: futures.ThreadPoolExecutor(
                concurrency, thread_name_prefix='copy-image-job'
            ),
        )

    def _dispatch_job(self, job):
        claim = self._queue.claim_of(job)
        if claim is None:
            # No thread could be started for it at once: it was given back.
            return False
        try:
            task = tasks.by_id(claim.details.task_id)
            claim.attempts = tasks.attempts(task) if task else 0
            takeover.carry_on(claim, task)
            return True
        except Exception as exc:
            LOG.error(
                'The copy of image %(image)s could not be carried on and is '
                'tried again later: %(why)s',
                {'image': claim.image_id, 'why': errors.redact(exc)},
            )
            return False
        finally:
            # Harmless if the copy ended, which takes the job off the jobboard.
            claim.release()

    def _on_job_done(self, job, fut):
        # Not as TaskFlow, which would now give the job back: its claim has
        # ended, and there may be another one already.
        self._dispatched.discard(fut)
        # What could not be carried on would at once be tried again.
        if fut.result():
            self._pause.cut_short()

    def _run_until_dead(self, executor, max_dispatches=None):
        while not self._pause.is_stopped():
            try:
                super()._run_until_dead(executor, max_dispatches)
            except Exception as exc:
                # TaskFlow would claim nothing more, and leave the process.
                LOG.error(
                    'No copy can be claimed now, which is tried again in '
                    '%(seconds)d seconds: %(why)s',
                    {
                        'seconds': _AFTER_FAILURE_SECONDS,
                        'why': errors.redact(exc),
                    },
                )
                self._pause.wait(_AFTER_FAILURE_SECONDS)

    def _try_finish_job(self, job, consume, trash=False):
        """Give back a job for which no thread could be started."""
        claim = self._queue.claim_of(job)
        # Unless another thread has taken it up meanwhile.
        if claim is not None:
            claim.release()


class Pause(timing.Timeout):
    """The time between two looks at the jobboard, unless a copy has ended."""

    def __init__(self, seconds):
        super().__init__(seconds)
        self._over = threading.Event()

    def cut_short(self):
        """Have the next look now."""
        self._over.set()

    def interrupt(self):
        """There is to be no other look."""
        super().interrupt()
        self.cut_short()

    def wait(self, seconds=None):
        """Return when the next look is due.

        :param seconds: how long that is at most, if not as usual
        """
        self._over.wait(seconds or self.value)
        self._over.clear()


class ClaimableJobs:
    """What a conductor knows as its jobboard: the jobs that it may take.

    :param board: :class:`Board`
    :param renewer: :class:`LeaseRenewer`, which knows the claims
    :param stores: :class:`~placement.Stores` of this worker
    :param concurrency: how many claims there may be
    """

    # TaskFlow's way to ask whether connect() has to be called first.
    connected = True

    def __init__(self, board, renewer, stores, concurrency):
        self._board = board
        self._renewer = renewer
        self._concurrency = concurrency
        self._stores = stores
        self._claims = {}
        self._served = {}
        self._turns = itertools.count(1)
        self._silent = False

    def register_entity(self, entity):
        """Other workers need not know that this one is there."""

    def close(self):
        """There is nothing to close: others use the jobboard, too."""

    def iterjobs(self, ensure_fresh=False):
        """Return the jobs that this worker can make, the next one first."""
        running = self._renewer.claims()
        if len(running) >= self._concurrency:
            instrumentation.observer().looked()
            return iter(())
        try:
            jobs = self._board.jobs()
        except board_.JobboardUnreachable as exc:
            self._say_silent(exc)
            return iter(())
        instrumentation.observer().looked()
        self._silent = False
        known = [(job, details_.of_job(job), owner) for job, owner in jobs]
        return iter(queue.in_order(
            [
                (job, details) for job, details, owner in known
                if owner is None and details and self._stores.can_make(details)
            ],
            [
                details.project_id for _job, details, owner in known
                if owner is not None and details
            ],
            self._served,
        ))

    def claim(self, job, who):
        """Claim a job, as TaskFlow's boards do.

        :raises UnclaimableJob: if somebody else was faster
        """
        token = job_lease.new_token(who)
        details = details_.of_job(job)
        claim = job_lease.JobLease(self._board, job, token, details)
        try:
            if not self._board.claim(job, token):
                raise exceptions.UnclaimableJob(f'job {job.uuid} is taken')
        except board_.JobboardUnreachable as exc:
            self._say_silent(exc)
            raise exceptions.UnclaimableJob(str(exc)) from None
        self._served[details.project_id] = next(self._turns)
        self._claims[job.uuid] = claim
        self._renewer.add(claim)

    def claim_of(self, job):
        """Return the :class:`JobLease` of a job, once; None after that."""
        return self._claims.pop(job.uuid, None)

    def _say_silent(self, error):
        if not self._silent:
            LOG.warning('Jobboard unreachable: %s', error)
        self._silent = True
