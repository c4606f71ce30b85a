# SPDX-License-Identifier: Apache-2.0

"""A lease for any number of hosts: a worker's claim of a job."""

import functools
import threading
import time
import uuid

from oslo_log import log as logging

from glance_copy_plugin.ownership import lease
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class JobboardUnreachable(Exception):
    """The jobboard cannot be reached, or does not do what it is asked."""


class JobLease(lease.Lease):
    """One claim, which the lease renewer renews until it has ended.

    Once lost it never comes back: whoever has the job now may have changed
    what this copy believes of its stores.

    :param board: :class:`Board`
    :param job: TaskFlow's job, claimed with ``token``
    :param details: the job's :class:`Details`
    """

    def __init__(self, board, job, token, details):
        super().__init__(details.image_id)
        self.details = details
        self._board = board
        self._job = job
        self._token = token
        self._good_until = time.monotonic() + board.expiry
        self._lost = threading.Event()
        self._ending = None

    @property
    def lost(self):
        """True if it is known that another worker may have the job."""
        return self._lost.is_set()

    @property
    def ended(self):
        """True if there is nothing left to renew, or to tell the jobboard."""
        return self._ending is not None and self._ending.done

    def check(self):
        """Return if the job is still this claim's, as the jobboard says.

        Asked while the image's row is locked, the answer holds until that
        lock is dropped: who claims the job later waits for the same row.

        :raises: :class:`LeaseLost`; :class:`LeaseUnsure` while the jobboard
            does not answer
        """
        if self.lost:
            raise _lost()
        try:
            still = self._board.is_owner(self._job, self._token)
        except JobboardUnreachable as exc:
            if time.monotonic() < self._good_until:
                raise errors.LeaseUnsure(
                    f'jobboard unreachable: {exc}'
                ) from None
            still = False
        if not still:
            self._lose()
            raise _lost()

    def renew(self):
        """Renew the claim, or end it on the jobboard if the copy has ended.

        :raises: :class:`JobboardUnreachable`
        """
        if self._ending is not None:
            self._ending.try_it()
            return
        if self.lost:
            return
        asked = time.monotonic()
        if self._board.extend(self._job, self._token):
            self._good_until = asked + self._board.expiry
        else:
            self._lose()

    def save(self):
        """Write how often the copy was begun, so that others know."""
        tasks.set_attempts(self.details.task_id, self.attempts)

    def hand_over(self):
        """Release a copy that was stopped in an orderly way."""
        self.attempts = 0
        try:
            # Another worker has its own count of it.
            self.check()
            self.save()
        except errors.LeaseLost:
            LOG.debug('Another worker has image %s already', self.image_id)
        except Exception as exc:
            LOG.warning(
                'The stop of the copy of image %(image)s counts as an '
                'interruption, as it cannot be recorded: %(why)s',
                {'image': self.image_id, 'why': errors.redact(exc)},
            )
        self.release()

    def _lose(self):
        if not self.lost:
            LOG.warning(
                'This worker has lost the claim of the copy of image %s; '
                'another one may carry it on',
                self.image_id,
            )
            self._lost.set()

    def _forget(self):
        self._end(self._board.consume)

    def _free(self):
        self._end(self._board.abandon)

    def _end(self, action):
        if self.lost:
            # A jobboard that was only silent may still have it: a session of
            # ZooKeeper lives on if the connection comes back in time.
            action = self._board.abandon
        if self._ending is None:
            self._ending = _Ending(
                functools.partial(action, self._job, self._token)
            )
            try:
                self._ending.try_it()
            except JobboardUnreachable as exc:
                LOG.warning(
                    'Jobboard unreachable; it is told later that the copy of '
                    'image %(image)s has ended here: %(why)s',
                    {'image': self.image_id, 'why': exc},
                )


class _Ending:
    """What has to be said to the jobboard, until it was said."""

    def __init__(self, say):
        self._say = say
        self._lock = threading.Lock()
        self.done = False

    def try_it(self):
        with self._lock:
            if not self.done:
                self._say()
                self.done = True


def new_token(worker):
    """Return a name for a new claim of a worker, like no other."""
    return f'{worker}/{uuid.uuid4()}'


def worker_of(token):
    """Return the worker whose claim that is."""
    return token.rpartition('/')[0] or token


def _lost():
    return errors.LeaseLost('another worker carries the copy on')
