# SPDX-License-Identifier: Apache-2.0

"""Reading an image, wherever in it, also when connections break."""

import collections
from concurrent import futures
import contextlib
import logging
import time

from glance_store import exceptions

from glance_store_irods import api
from glance_store_irods import catalog

LOG = logging.getLogger(__name__)

# Seconds to wait before each further try to read what could not be read, once
# there is a connection. A try that reads something begins the count anew.
PAUSES = (0, 1, 3)


def chunks(sessions, found, offset, length=None):
    """Yield the bytes of an object, a chunk at a time.

    :param sessions: Sessions
    :param found: DataObject
    :param length: as many bytes; up to the end if None
    :raises: BackendException if the object ends before its recorded size
    """
    size, step = found.size, sessions.settings.chunk_size
    end = size if length is None else min(size, offset + length)
    if offset >= end:
        return
    starts = range(offset, end, step)
    with contextlib.ExitStack() as held:
        leases = [held.enter_context(sessions.lease())]
        wanted = min(sessions.settings.transfer_threads, len(starts))
        while len(leases) < wanted:
            try:
                leases.append(held.enter_context(sessions.lease(wait=False)))
            except exceptions.RemoteServiceUnavailable:
                # Who waits for a second one while holding the first can
                # wait for another that does the same.
                break
        readers = [
            held.enter_context(contextlib.closing(_Reader(lease, found)))
            for lease in leases
        ]
        if len(readers) > 1:
            yield from _in_parallel(readers, starts, end)
        else:
            yield from _one_by_one(readers[0], offset, end, step)


def chunks_through(lease, found):
    """Yield all bytes of an object, a chunk at a time.

    :param lease: Lease to do it through, for whoever has one already
    :param found: DataObject
    """
    with contextlib.closing(_Reader(lease, found)) as reader:
        yield from _one_by_one(
            reader, 0, found.size, lease.settings.chunk_size
        )


def _one_by_one(reader, offset, end, step):
    while offset < end:
        data = reader.read(offset, min(step, end - offset))
        offset += len(data)
        yield data


def _in_parallel(readers, starts, end):
    """Yield the chunks in order; each reader is one of them ahead."""
    ahead = collections.deque()
    pool = futures.ThreadPoolExecutor(len(readers))
    try:
        for number, start in enumerate(starts):
            if len(ahead) == len(readers):
                yield ahead.popleft().result()
            ahead.append(pool.submit(
                readers[number % len(readers)].read_all,
                start, min(starts.step, end - start),
            ))
        while ahead:
            yield ahead.popleft().result()
    finally:
        # The readers are closed next: nothing of theirs may run any more.
        pool.shutdown(cancel_futures=True)


class _Reader:
    """Reads an object from one connection after the other."""

    def __init__(self, lease, found):
        self._lease = lease
        self._found = found
        self._opened = None
        self._position = 0
        self._lost = False

    def read_all(self, offset, size):
        """Return ``size`` bytes."""
        parts, end = [], offset + size
        while offset < end:
            parts.append(self.read(offset, end - offset))
            offset += len(parts[-1])
        return parts[0] if len(parts) == 1 else b''.join(parts)

    def read(self, offset, size):
        """Return at most ``size`` bytes, at least one."""
        for pause in PAUSES:
            try:
                return self._read(offset, size)
            except exceptions.RemoteServiceUnavailable as exc:
                LOG.warning('%s Continuing to read at byte %d.', exc, offset)
                self._opened, self._lost = None, True
                time.sleep(pause)
        return self._read(offset, size)

    def _read(self, offset, size):
        if self._lost:
            self._check_unchanged()
        if self._opened is None:
            self._opened, self._position = self._open(), 0
            # A restart of the server shall not end what has begun.
            self._lease.be_patient()
        if offset != self._position:
            self._opened.seek(offset)
            self._position = offset
        data = self._opened.read(size)
        if not data:
            raise exceptions.BackendException(
                f'{self._found.path} in iRODS ends at byte {offset}, but its '
                f'recorded size is {self._found.size}.'
            )
        self._position += len(data)
        return data

    def _check_unchanged(self):
        """Without a connection, it could have been replaced by another."""
        found = catalog.find(self._lease, self._found.path)
        if found.id != self._found.id or found.size != self._found.size:
            raise exceptions.BackendException(
                f'{self._found.path} in iRODS was replaced while it was read.'
            )
        self._found, self._lost = found, False

    def _open(self):
        """Open a replica: as the zone chooses, else one of the good ones."""
        numbers = [replica.number for replica in self._found.good]
        if len(numbers) == len(self._found.replicas):
            # Otherwise it might choose one that is not good.
            numbers.insert(0, None)
        while True:
            number = numbers.pop(0)
            try:
                return api.OpenObject(self._lease, self._found.path, number)
            except (
                exceptions.NotFound, exceptions.RemoteServiceUnavailable
            ):
                if not numbers or not self._lease.is_connected:
                    raise

    def close(self):
        """Close what is open; whoever has the bytes need not care how."""
        if self._opened is None:
            return
        try:
            self._opened.close(self._lease.settings.connection_timeout)
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            LOG.warning('%s', exc)
