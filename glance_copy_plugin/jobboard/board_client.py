# SPDX-License-Identifier: Apache-2.0

"""The jobboard, whoever keeps it."""

import contextlib
import importlib
import typing

from oslo_config import cfg

from glance_copy_plugin import process_state
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.options import jobboard
from glance_copy_plugin.ownership.job_lease import JobboardUnreachable
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF


class Kind(typing.Protocol):
    """What each kind of jobboard does: :class:`Board` says what it means.

    A kind connects when it is first asked for something, and answers or
    fails soon enough for a claim to be renewed by somebody else's answer.
    Whatever it raises for a jobboard that does not answer is among its
    ``failures``; :meth:`describe` puts such an exception into words.
    """

    failures: tuple

    def describe(self, failure) -> str: ...
    def ping(self): ...
    def post(self, posting) -> bool: ...
    def jobs(self) -> list: ...
    def claim(self, job, token, expiry) -> bool: ...
    def owner_of(self, job) -> str | None: ...
    def extend(self, job, token, expiry) -> bool: ...
    def consume(self, job, token) -> bool: ...
    def abandon(self, job, token) -> bool: ...
    def announce(self, name, text, seconds): ...
    def announced(self) -> dict: ...
    def withdraw(self, name): ...
    def close(self): ...


class Board:
    """A jobboard.

    All methods that ask it something raise :class:`JobboardUnreachable`.

    :param settings: :class:`~jobboard.JobboardOptions`
    :raises RuntimeError: in one sentence, if a library is missing
    """

    def __init__(self, settings):
        self.expiry = settings.expiry
        self._name = settings.kind
        self._kind = _made(settings)

    def ping(self):
        """Return if the jobboard answers, having asked it."""
        with self._asking() as kind:
            kind.ping()

    def post(self, details):
        """Put the job of a copy on the jobboard, unless it is there.

        Who posts the same job again, or at the same time as others, does no
        harm: there are never two claims of one id. After an error it may be
        there all the same.

        :param details: :class:`~jobs.Details`
        :returns: False if it was there
        """
        with self._asking() as kind:
            return kind.post(details.as_posting())

    def jobs(self):
        """Return (:class:`~jobs.Job`, owner or None) for each job.

        What is no copy, whoever has put it there, is left out.
        """
        with self._asking() as kind:
            return kind.jobs()

    def claim(self, job, token):
        """Take a job; False if somebody else has it, or it is done.

        The claim ends by itself ``expiry`` seconds after it was made or
        renewed; in ZooKeeper, after the jobboard has heard for the last time
        of the process that made it.

        :param token: who takes it, unlike any other claim's
        """
        with self._asking() as kind:
            return kind.claim(job, token, self.expiry)

    def is_owner(self, job, token):
        """True if the claim is still this one, as the jobboard knows now."""
        with self._asking() as kind:
            return kind.owner_of(job) == token

    def extend(self, job, token):
        """Renew a claim; False if it is lost."""
        with self._asking() as kind:
            return kind.extend(job, token, self.expiry)

    def consume(self, job, token):
        """Take a done job off the jobboard; False if the claim is lost."""
        with self._asking() as kind:
            return kind.consume(job, token)

    def abandon(self, job, token):
        """Give a job back; False if the claim is lost."""
        with self._asking() as kind:
            return kind.abandon(job, token)

    def announce(self, name, stores):
        """Say that a worker lives; forgotten unless repeated in ``expiry``.

        :param stores: :class:`~jobs.Stores`, which it has
        """
        with self._asking() as kind:
            kind.announce(name, stores.as_text(), self.expiry)

    def workers(self):
        """Return ``{name: Stores}`` of the workers that live."""
        with self._asking() as kind:
            return jobs.recognised(kind.announced(), jobs.Stores.of_text)

    def withdraw(self, name):
        """A worker ends in an orderly way."""
        with self._asking() as kind:
            kind.withdraw(name)

    def close(self):
        """End the connection; what is claimed by it may be lost."""
        self._kind.close()

    @contextlib.contextmanager
    def _asking(self):
        try:
            yield self._kind
        except self._kind.failures as exc:
            raise JobboardUnreachable(errors.redact(
                f'{self._name}: {self._kind.describe(exc)}'
            )) from None


def _made(settings) -> Kind:
    try:
        module = importlib.import_module(
            f'glance_copy_plugin.jobboard.{settings.kind}_board'
        )
    except ImportError as exc:
        raise RuntimeError(
            '[copy_image] jobboard_connection needs a library that is not '
            f'installed ({exc.name}): install '
            f'glance-copy-plugin[{settings.kind}]'
        ) from None
    return module.make(settings)


def is_enabled():
    """True if copies are made by workers."""
    return jobboard.is_enabled(CONF[copy_image.GROUP])


@process_state.once
def of_process():
    """Return the jobboard of this process, as the configuration says.

    :raises RuntimeError: if the configuration cannot work, in one sentence
    """
    return Board(jobboard.settings(CONF[copy_image.GROUP]))
