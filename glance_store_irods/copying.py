# SPDX-License-Identifier: Apache-2.0

"""Copying an object inside iRODS: no byte of it passes through here.

The copy appears whole and verified, or not at all, as in the module writing.
The server cannot be told to stop: who wants to stop has to wait for it, and
removes what it has made.
"""

from concurrent import futures
import contextlib
import logging
import time

from glance_store import exceptions
import tenacity

from glance_store_irods import agents
from glance_store_irods import api
from glance_store_irods import catalog
from glance_store_irods import checksums
from glance_store_irods import errors
from glance_store_irods import writing

LOG = logging.getLogger(__name__)

# Seconds between two looks at a copy that the zone is making.
LOOK = 1.0
# A zone whose processes die in each copy has to be looked at.
ATTEMPTS = 2


class AgentDied(errors.Unavailable):
    """The zone's process died in a copy, whose object it has locked."""


def copy(sessions, source, target, size, *, beat, check, wait=None):
    """Copy an object to a path where nothing is yet.

    :param sessions: Sessions of the zone that ``target`` is in
    :param source: path of an object, in that zone or one that it knows
    :param size: bytes that it must have
    :param beat: called for every second or so in which the zone was seen to
        be alive; raises to stop
    :param check: called with the :class:`Checksum` that the zone computed of
        the copy, and its path so far; raises if it is not what it should be
    :param wait: called with seconds, for as long as the zone cannot be
        asked; raises to stop. If None, the zone is waited for as long as
        ``irods_store_timeout`` says.
    :raises: Duplicate if there is something at ``target``, NotFound if the
        source is not visible, and all else that glance_store's drivers raise
    """
    tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(AgentDied),
        stop=tenacity.stop_after_attempt(ATTEMPTS), reraise=True,
        before_sleep=lambda state: LOG.warning(
            '%s Copying again under another name.', state.outcome.exception()
        ),
    )(_copy, sessions, source, target, size, beat, check, wait)


def _copy(sessions, source, target, size, beat, check, wait):
    with writing.partial(sessions, target, wait) as (lease, partial):
        expected = _expected(lease, source, size)

        def compare(found):
            _compare(found, expected, partial.path)
            check(found, partial.path)

        _ZoneCopy(
            sessions, lease, source, partial.path, beat, wait or time.sleep
        ).make()
        partial.complete(size, compare)


def _expected(lease, source, size):
    """Return the Checksum of the source; have it made if need be."""
    found = catalog.find(lease, source)
    if found.size != size:
        raise exceptions.BackendException(
            f'{source} in iRODS has {found.size} bytes, and the image {size}.'
        )
    return checksums.parse(api.checksum(lease, source))


def _compare(found, expected, path):
    if found.algorithm != expected.algorithm:
        raise exceptions.BackendException(
            f'The checksum of {path} cannot be compared with that of its '
            f'source: the zones use different hash schemes.'
        )
    if found != expected:
        raise exceptions.BackendException(
            f'The checksum of {path} in iRODS is not that of its source.'
        )


class _ZoneCopy:
    """One copy that the zone makes, and what is seen of it meanwhile."""

    def __init__(self, sessions, lease, source, path, beat, wait):
        self._sessions = sessions
        self._lease = lease
        self._source = source
        self._path = path
        self._beat = beat
        self._wait = wait
        self._own = None
        # The one that makes the copy; None if the zone does not tell.
        self._agent = None

    def make(self):
        """Return when the zone has made the copy; raise if it has not."""
        with contextlib.ExitStack() as held:
            self._own = held.enter_context(self._sessions.lease())
            self._own.link()
            self._look()
            # What is raised here gets out when the zone has answered.
            beside = held.enter_context(futures.ThreadPoolExecutor(1))
            asked = beside.submit(
                api.copy, self._own, self._source, self._path
            )
            while not futures.wait([asked], LOOK).done:
                self._look()
            try:
                asked.result()
                return
            except exceptions.RemoteServiceUnavailable as exc:
                LOG.warning(
                    '%s The zone may still be copying; looking for the copy.',
                    exc,
                )
                failure = exc
        self._follow(failure)

    def _look(self):
        """Say that the zone is alive if it is; raise to stop."""
        try:
            catalog.look(self._lease, self._path)
            program = self._own.program
            if self._agent is None or self._agent.program != program:
                self._agent = agents.find(self._lease, program)
        except exceptions.RemoteServiceUnavailable as exc:
            LOG.debug('%s', exc)
            self._wait(0)
        else:
            self._beat()

    def _follow(self, failure):
        """Return when the copy is complete whose answer was lost.

        :param failure: what to raise if there is no copy
        """
        ends = time.monotonic() + self._lease.settings.long_timeout
        while True:
            # Asked first: who has just completed a copy ends as well.
            is_dead = agents.is_dead(self._lease, self._agent)
            found = catalog.look(self._lease, self._path)
            if found is not None and found.good:
                return
            if found is None or not found.is_being_written:
                raise failure
            if is_dead:
                raise AgentDied(message=(
                    f'The process of iRODS that copied {self._source} died. '
                    f'What it made, {self._path}, is locked, and only an '
                    f'administrator of the zone can remove it.'
                ))
            if time.monotonic() >= ends:
                raise failure
            self._beat()
            self._wait(LOOK)
