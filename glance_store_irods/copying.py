# SPDX-License-Identifier: Apache-2.0
"""Copying an object inside iRODS: no byte of it passes through here.

The copy appears whole and verified, or not at all, as in the module writing.
The server cannot be told to stop: who wants to stop has to wait for it, and
removes what it has made.
"""

from concurrent import futures
import logging
import threading
import time

from glance_store import exceptions
from irods import keywords

from glance_store_irods import catalog
from glance_store_irods import objects
from glance_store_irods import writing

LOG = logging.getLogger(__name__)

# Seconds between two looks at a copy that the zone is making.
LOOK = 1.0


def copy(sessions, source, target, size, *, beat, check):
    """Copy an object to a path where nothing is yet.

    :param sessions: Sessions of the zone that ``target`` is in
    :param source: path of an object, in that zone or one that it knows
    :param size: bytes that it must have
    :param beat: called for every second or so in which the zone was seen to
        be alive; raises to stop
    :param check: called with the checksum that the zone computed of the copy,
        and its path so far; raises if it is not what it should be
    :raises: Duplicate if there is something at ``target``, NotFound if the
        source is not visible, and all else that glance_store's drivers raise
    """
    with sessions.lease() as lease:
        if objects.look(lease, target) is not None:
            raise exceptions.Duplicate(image=target)
        expected = _expected(lease, source, size)
        partial = writing.Partial(lease, target)

        def compare(checksum):
            _compare(checksum, expected, partial.path)
            check(checksum, partial.path)

        try:
            _Copying(sessions, lease, source, partial.path, beat).run()
            partial.complete(size, compare)
            partial.publish()
        except BaseException:
            partial.remove()
            raise


def _expected(lease, source, size):
    """Return the recorded checksum of the source; have it made if need be."""
    found = objects.find(lease, source)
    if found.size != size:
        raise exceptions.BackendException(
            f'{source} in iRODS has {found.size} bytes, and the image {size}.'
        )
    recorded = {replica.checksum for replica in found.good} - {''}
    if len(recorded) == 1:
        return recorded.pop()
    return objects.checksum(lease, source)


def _compare(checksum, expected, path):
    if _scheme(checksum) != _scheme(expected):
        raise exceptions.BackendException(
            f'The checksum of {path} cannot be compared with that of its '
            f'source: the zones use different hash schemes.'
        )
    if checksum != expected:
        raise exceptions.BackendException(
            f'The checksum of {path} in iRODS is not that of its source.'
        )


def _scheme(checksum):
    return checksum.rpartition(':')[0]


class _Copying:
    """One request to copy, and looking at what becomes of it."""

    def __init__(self, sessions, lease, source, path, beat):
        self._sessions = sessions
        self._lease = lease
        self._source = source
        self._path = path
        self._beat = beat
        self._stopped = None

    def run(self):
        """Return when the zone has made the copy; raise if it has not."""
        with futures.ThreadPoolExecutor(1) as beside:
            asked = beside.submit(self._ask)
            while not _has_ended(asked):
                self._look()
        if self._stopped is not None:
            raise self._stopped
        try:
            asked.result()
        except exceptions.RemoteServiceUnavailable as exc:
            LOG.warning('%s Looking whether it is done all the same.', exc)
            self._wait(exc)

    def _ask(self):
        options = {}
        if self._lease.settings.primary:
            options[keywords.DEST_RESC_NAME_KW] = self._lease.settings.primary
        with self._sessions.lease() as lease:
            lease.run(
                lambda session: session.data_objects.copy(
                    self._source, self._path, **options
                ),
                'copy', self._source, seconds=lease.settings.long_timeout,
            )

    def _look(self):
        """See if the zone is alive, and say so; return what it has made."""
        try:
            found = objects.look(self._lease, self._path)
        except exceptions.RemoteServiceUnavailable as exc:
            LOG.debug('%s', exc)
            return None
        if self._stopped is None:
            try:
                self._beat()
            except Exception as exc:
                self._stopped = exc
        return found

    def _wait(self, failure):
        """Only the answer was lost: the zone may still be copying."""
        ends = time.monotonic() + self._lease.settings.long_timeout
        while time.monotonic() < ends:
            found = self._look()
            if self._stopped is not None:
                raise self._stopped
            if found is None or found.good:
                break
            if all(
                replica.status != catalog.BEING_WRITTEN
                for replica in found.replicas
            ):
                break
            threading.Event().wait(LOOK)
        if found is None or not found.good:
            raise failure


def _has_ended(asked):
    return bool(futures.wait([asked], LOOK).done)
