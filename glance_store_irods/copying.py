# SPDX-License-Identifier: Apache-2.0

"""Copying an object inside iRODS: no byte of it passes through here.

The copy appears whole and verified, or not at all, as in the module writing.
The server cannot be told to stop: who wants to stop has to wait for it, and
removes what it has made.
"""

from concurrent import futures
import logging
import time

from glance_store import exceptions

from glance_store_irods import api
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
    with writing.partial(sessions, target) as (lease, partial):
        expected = _expected(lease, source, size)

        def compare(checksum):
            _compare(checksum, expected, partial.path)
            check(checksum, partial.path)

        _run(sessions, lease, source, partial.path, beat)
        partial.complete(size, compare)


def _expected(lease, source, size):
    """Return the recorded checksum of the source; have it made if need be."""
    found = api.find(lease, source)
    if found.size != size:
        raise exceptions.BackendException(
            f'{source} in iRODS has {found.size} bytes, and the image {size}.'
        )
    recorded = {replica.checksum for replica in found.good} - {''}
    if len(recorded) == 1:
        return recorded.pop()
    return api.checksum(lease, source)


def _compare(checksum, expected, path):
    if checksum.rpartition(':')[0] != expected.rpartition(':')[0]:
        raise exceptions.BackendException(
            f'The checksum of {path} cannot be compared with that of its '
            f'source: the zones use different hash schemes.'
        )
    if checksum != expected:
        raise exceptions.BackendException(
            f'The checksum of {path} in iRODS is not that of its source.'
        )


def _run(sessions, lease, source, path, beat):
    """Return when the zone has made the copy; raise if it has not."""
    def ask():
        with sessions.lease() as own:
            api.copy(own, source, path)

    # What is raised here gets out when the zone has answered.
    with futures.ThreadPoolExecutor(1) as beside:
        asked = beside.submit(ask)
        while not futures.wait([asked], LOOK).done:
            _look(lease, path, beat)
    try:
        asked.result()
    except exceptions.RemoteServiceUnavailable as exc:
        LOG.warning(
            '%s The zone may still be copying; looking for the copy.', exc
        )
        # The zone may still be copying.
        ends = time.monotonic() + lease.settings.long_timeout
        found = _look(lease, path, beat)
        while (
            found is not None and found.is_being_written
            and time.monotonic() < ends
        ):
            time.sleep(LOOK)
            found = _look(lease, path, beat)
        if found is None or not found.good:
            raise


def _look(lease, path, beat):
    """Return what the zone has made; say that the zone is alive if it is."""
    try:
        found = api.look(lease, path)
    except exceptions.RemoteServiceUnavailable as exc:
        LOG.debug('%s', exc)
        return None
    beat()
    return found
