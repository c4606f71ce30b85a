# SPDX-License-Identifier: Apache-2.0

"""Claims jobs of the jobboard, and has their copies made."""

import collections
import itertools
import threading

from oslo_log import log as logging
from taskflow.jobs import base

from glance_copy_plugin.flow import takeover
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.ownership import job_lease
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_AFTER_FAILURE_SECONDS = 5
_PRIORITIES = list(base.JobPriority)


class ClaimLoop:
    """Looks for jobs until it is stopped; each copy has its own thread.

    :param name: the worker's name on the jobboard
    :param board: :class:`Board`
    :param renewer: :class:`LeaseRenewer`, which knows the claims
    :param stores: :class:`~jobs.Stores` of this worker
    :param concurrency: how many copies may run at the same time
    """

    def __init__(self, name, board, renewer, stores, concurrency):
        self._name = name
        self._board = board
        self._renewer = renewer
        self._stores = stores
        self._concurrency = concurrency
        self._served = {}
        self._turns = itertools.count(1)
        self._unreachable = False
        self._stopped = False
        self._wake = threading.Event()

    def run(self):
        """Claim jobs; return when it is stopped, whatever copies still run."""
        while not self._stopped:
            seconds = _POLL_SECONDS
            try:
                self._claim_jobs()
                self._unreachable = False
            except board_client.JobboardUnreachable as exc:
                if not self._unreachable:
                    LOG.warning('Jobboard unreachable: %s', exc)
                self._unreachable = True
            except Exception as exc:
                seconds = _AFTER_FAILURE_SECONDS
                LOG.error(
                    'Cannot claim copies; trying again in %(seconds)d '
                    'seconds: %(why)s',
                    {'seconds': seconds, 'why': errors.redact(exc)},
                )
            self._wake.wait(seconds)
            self._wake.clear()

    def stop(self):
        """Claim nothing more; copies that run are not touched."""
        self._stopped = True
        self._wake.set()

    def _claim_jobs(self):
        """Claim as many jobs as this worker may make now."""
        free = self._concurrency - len(self._renewer.claims())
        jobs = self._claimable() if free > 0 else ()
        instrumentation.observer().looked()
        for job in jobs:
            if free < 1 or self._stopped:
                return
            token = job_lease.new_token(self._name)
            claim = job_lease.JobLease(self._board, job, token, job.details)
            if self._board.claim(job, token):
                free -= 1
                self._served[job.details.project_id] = next(self._turns)
                self._renewer.add(claim)
                self._start(claim)

    def _claimable(self):
        """Return the jobs that this worker can make, the next one first."""
        jobs = self._board.jobs()
        return in_order(
            [
                job for job, owner in jobs
                if owner is None and self._stores.can_make(job.details)
            ],
            [job.details.project_id for job, owner in jobs if owner],
            self._served,
        )

    def _start(self, claim):
        try:
            threading.Thread(
                target=self._make, args=(claim,), name='copy-image-job',
                daemon=True,
            ).start()
        except BaseException:
            claim.release()
            raise

    def _make(self, claim):
        """Bring a copy to its end, from what Glance's records say of it."""
        carried_on = False
        try:
            task = tasks.by_id(claim.details.task_id)
            claim.attempts = tasks.attempts(task) if task else 0
            takeover.carry_on(claim, task)
            carried_on = True
        except Exception as exc:
            LOG.error(
                'The copy of image %(image)s did not go on; a worker will try '
                'again: %(why)s',
                {'image': claim.image_id, 'why': errors.redact(exc)},
            )
        finally:
            # Harmless if the copy ended, which takes the job off the jobboard.
            claim.release()
        # What did not go on would be the next job at once.
        if carried_on:
            self._wake.set()


def in_order(waiting, running, served):
    """Put jobs in the order in which a worker should try to claim them.

    The most urgent first; among equals, projects take turns: those of which
    the fewest copies run come first, then those that this worker has served
    the longest ago; within a project, as they came.

    :param waiting: :class:`~jobs.Job` of each
    :param running: the project ids of the copies that run, one for each
    :param served: ``{project id: number of its last turn}``
    """
    found = []
    waiting = sorted(waiting, key=lambda job: (_urgency(job), job.created_on))
    for _priority, group in itertools.groupby(waiting, key=_urgency):
        turns = collections.Counter(running)
        turned = []
        for job in group:
            project = job.details.project_id
            turned.append((turns[project], served.get(project, 0), job))
            turns[project] += 1
        turned.sort(key=lambda each: each[:2])
        found += [job for _turn, _served, job in turned]
    return found


def _urgency(job):
    return _PRIORITIES.index(job.details.priority)
