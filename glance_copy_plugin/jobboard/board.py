# SPDX-License-Identifier: Apache-2.0

"""The jobboard itself, of whichever kind, and what became of its silence."""

import contextlib
import functools
import importlib
import os
import threading

from oslo_config import cfg
from oslo_log import log as logging
from taskflow import exceptions

from glance_copy_plugin.jobboard import board_base
from glance_copy_plugin.jobboard import placement
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.options import jobboard
from glance_copy_plugin.ownership.job_lease import JobboardUnreachable
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

_NAME = 'copy-image'


class Board:
    """A jobboard that connects when it is first needed.

    All methods that ask it something raise :class:`JobboardUnreachable`.

    :param settings: :class:`~jobboard.JobboardOptions`
    :raises RuntimeError: in one sentence, if a library is missing
    """

    def __init__(self, settings):
        self.expiry = settings.expiry
        self._board = _module(settings.kind).make(_NAME, settings)
        self._lock = threading.Lock()

    def ping(self):
        """Return if the jobboard answers."""
        with self._answering() as board:
            board.ping()

    def post(self, details):
        """Put the job of a copy on the jobboard, unless it is there.

        After an error it may be there all the same.

        :param details: :class:`~details.Details`
        :returns: False if it was there
        """
        with self._answering() as board:
            return board.post_once(
                details.task_id, f'{_NAME}-{details.image_id}',
                details.as_dict(), details.priority,
            )

    def jobs(self):
        """Return (job, owner or None) for each job that is not done."""
        with self._answering() as board:
            return board.postings()

    def claim(self, job, token):
        """Take a job; False if somebody else has it, or it is done.

        :param token: who takes it, unlike any other claim's
        """
        with self._answering() as board:
            try:
                board.claim(job, token, expiry=self.expiry)
            except (exceptions.UnclaimableJob, exceptions.NotFound):
                return False
            return True

    def is_owner(self, job, token):
        """True if the claim is still this one."""
        with self._answering() as board:
            return board.find_owner(job) == token

    def extend(self, job, token):
        """Renew a claim; False if it is lost."""
        with self._answering() as board:
            return board.extend(job, token, self.expiry)

    def consume(self, job, token):
        """Take a done job off the jobboard, unless the claim is lost."""
        self._end(job, token, 'consume')

    def abandon(self, job, token):
        """Give a job back, unless the claim is lost."""
        self._end(job, token, 'abandon')

    def announce(self, name, stores):
        """Say that a worker lives, and which stores it has.

        :param stores: :class:`~placement.Stores`
        """
        with self._answering() as board:
            board.announce(name, stores.as_text(), self.expiry)

    def workers(self):
        """Return ``{name: Stores}`` of the workers that live."""
        with self._answering() as board:
            announced = board.announced()
        found = {}
        for name, said in announced.items():
            try:
                stores = placement.of_text(said)
            except board_base.NONSENSE:
                stores = None
            if stores and all(map(
                board_base.is_name, [name, *stores.names, *stores.writable]
            )):
                found[name] = stores
            else:
                board_base.say_unreadable(name)
        return found

    def withdraw(self, name):
        """A worker ends in an orderly way."""
        with self._answering() as board:
            board.withdraw(name)

    def close(self):
        """End the connection; what is claimed by it may be lost."""
        self._board.close()

    def _end(self, job, token, action):
        if not self.is_owner(job, token):
            return
        with self._answering() as board:
            try:
                getattr(board, action)(job, token)
            except exceptions.NotFound:
                LOG.debug('Job %s is gone already', job.uuid)

    @contextlib.contextmanager
    def _answering(self):
        try:
            with self._lock:
                if not self._board.connected:
                    self._board.connect()
            yield self._board
        except exceptions.JobFailure as exc:
            # TaskFlow's own words do not say what is wrong.
            raise JobboardUnreachable(
                errors.redact(exc.__cause__ or exc)
            ) from None


def _module(kind):
    try:
        return importlib.import_module(
            f'glance_copy_plugin.jobboard.{kind}_board'
        )
    except ImportError as exc:
        raise RuntimeError(
            '[copy_image] jobboard_connection needs a library that is not '
            f'installed ({exc.name}): install glance-copy-plugin[{kind}]'
        ) from None


def is_enabled():
    """True if copies are made by workers."""
    return jobboard.is_enabled(CONF[copy_image.GROUP])


def of_process():
    """Return the jobboard of this process, as the configuration says.

    :raises RuntimeError: if the configuration cannot work, in one sentence
    """
    return _of_process(os.getpid())


@functools.cache
def _of_process(_pid):
    # Connections do not survive a fork.
    return Board(jobboard.settings(CONF[copy_image.GROUP]))
