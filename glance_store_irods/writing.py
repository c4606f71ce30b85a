# SPDX-License-Identifier: Apache-2.0

"""Writing an image so that it appears whole and verified, or not at all.

It is written to an object beside it, with a name of its own that ends in
``.part``, and gets its name last. iRODS takes a partly written object for good
as soon as it is closed, so that nothing of it may ever have the image's name.
The name is not reused: what a dead process left behind can be beyond our
rights to remove, and must not be in the way.
"""

from concurrent import futures
import contextlib
import functools
import hashlib
import io
import logging
import math
import uuid

from glance_store import exceptions
import tenacity

from glance_store_irods import api
from glance_store_irods import catalog
from glance_store_irods import checksums
from glance_store_irods import errors
from glance_store_irods import location
from glance_store_irods import reading

LOG = logging.getLogger(__name__)

# Seconds between two tries to remove a partial object. The server needs a
# moment to notice that the connection it was written through is gone.
PAUSE = 0.2
# For how long that is tried; what is still locked then stays so.
REMOVAL_SECONDS = 10.0


def write(sessions, path, incoming, wait=None):
    """Write a new object.

    :param sessions: Sessions
    :param incoming: Incoming or Verified; not read unless the path is free
    :param wait: as in :func:`partial`
    :raises: Duplicate if there is something at ``path``
    """
    with partial(sessions, path, wait) as (_lease, made):
        made.send(incoming)
        made.complete(
            incoming.count, functools.partial(_compare, made, incoming)
        )


def _compare(made, incoming, found):
    """Compare the object with what was sent.

    :param found: Checksum that the zone computed
    """
    hexdigests = incoming.hexdigests
    if found.algorithm not in hexdigests:
        LOG.info(
            'The hash scheme of the zone, %s, is none that was computed of '
            '%s; reading it back', found.algorithm, made.path,
        )
        found = made.read_back()
    if not found.is_of(hexdigests[found.algorithm]):
        raise exceptions.BackendException(
            f'The {found.algorithm} checksum of {made.path} in iRODS is not '
            f'that of the bytes that were sent.'
        )


def check(sessions, path):
    """Write an empty object beside ``path``, and remove it.

    :raises: what writing an image would
    """
    with sessions.lease() as lease:
        made = Partial(lease, path)
        try:
            made.send(checksums.Verified(io.BytesIO(), dict, 1))
            made.complete(0, lambda found: None)
        finally:
            made.remove()


@contextlib.contextmanager
def partial(sessions, target, wait=None):
    """Lend a Lease and a :class:`Partial` that gets the target's name after.

    If the block raises, it is removed instead.

    :param wait: called with seconds, for as long as the server cannot be
        reached, and raises to give up; if None, that is so only once there
        is something to remove, and ends after ``irods_store_timeout``
    :raises: Duplicate if there is something at ``target``
    """
    with sessions.lease() as lease:
        if wait is not None:
            lease.be_patient(wait, math.inf)
        if catalog.look(lease, target) is not None:
            raise exceptions.Duplicate(image=target)
        made = Partial(lease, target)
        try:
            if wait is None:
                lease.be_patient()
            yield lease, made
            made.publish()
        except BaseException:
            # Whoever has given up waits for nothing but this.
            lease.be_patient()
            made.remove()
            raise


class Partial:
    """The object that is written to before the image gets its name.

    :param target: path that it gets in the end
    """

    def __init__(self, lease, target):
        self._lease = lease
        self._target = target
        self.path = f'{target}.{uuid.uuid4().hex[:12]}{location.PARTIAL}'
        self._opened = None
        self._id = None
        self._moving = False
        # Somebody else's object has the name: it is not ours to remove.
        self._is_foreign = False
        self._proved = set()

    def send(self, incoming):
        """Write all pieces, and let the zone complete the object."""
        try:
            self._opened = api.OpenObject(
                self._lease, self.path, create=True
            )
        except exceptions.Duplicate:
            self._is_foreign = True
            raise
        # One piece is sent while the next one comes.
        with futures.ThreadPoolExecutor(1) as beside:
            sending = None
            for piece in incoming.pieces():
                if sending is not None:
                    sending.result()
                sending = beside.submit(self._opened.write, piece)
            if sending is not None:
                sending.result()
        # The zone may replicate the object before it answers.
        self._opened.close(self._lease.settings.long_timeout)

    def complete(self, size, check):
        """Compare the object with what it shall be; make its replica.

        :param check: called with the :class:`Checksum` that the zone computes
            of a replica, unless it is that of one before; raises if that is
            wrong
        """
        found = catalog.find(self._lease, self.path)
        self._id = found.id
        if found.size != size:
            raise exceptions.BackendException(
                f'{self.path} in iRODS has {found.size} bytes, but {size} '
                f'were sent.'
            )
        self._check_resource(found)
        # There is more than one already if the zone replicates by itself.
        for replica in found.good:
            self._check(
                check, replica.number if len(found.replicas) > 1 else None
            )
        if self._lease.settings.replica:
            known = {replica.number for replica in found.replicas}
            for replica in self._replicate(found).good:
                if replica.number not in known:
                    # That of the source is recorded for it already.
                    self._check(check, replica.number, fresh=True)

    def _check_resource(self, found):
        """The zone takes its default resource if the one asked for is down.

        It does not say so.
        """
        wanted = self._lease.settings.primary
        if wanted and not any(
            replica.lies_in(wanted) for replica in found.replicas
        ):
            resources = ', '.join(
                replica.hierarchy for replica in found.replicas
            )
            raise errors.Unavailable(
                message=f'iRODS wrote {self.path} to {resources} and not to '
                        f'{wanted} (irods_store_primary_res), which may be '
                        f'down.'
            )

    def _check(self, check, number, fresh=False):
        computed = checksums.parse(
            api.checksum(self._lease, self.path, fresh, number)
        )
        if computed not in self._proved:
            check(computed)
            self._proved.add(computed)

    def read_back(self):
        """Read the object; return a :class:`Checksum` of what was read."""
        digest = hashlib.sha256()
        found = catalog.find(self._lease, self.path)
        for chunk in reading.chunks_through(self._lease, found):
            digest.update(chunk)
        return checksums.Checksum(
            algorithm='sha256', digest=digest.hexdigest()
        )

    def _replicate(self, before):
        """Return the DataObject with a replica on the second resource."""
        resource = self._lease.settings.replica
        if any(replica.lies_in(resource) for replica in before.replicas):
            raise errors.misconfigured(
                self._lease.settings.store,
                f'images are written to the resource {resource} already, '
                f'which is to hold their second replica',
            )
        api.replicate(self._lease, self.path, resource)
        found = catalog.find(self._lease, self.path)
        if not any(
            replica.is_good and replica.lies_in(resource)
            and replica.size == before.size for replica in found.replicas
        ):
            raise exceptions.BackendException(
                f'{self.path} in iRODS has no good replica on the resource '
                f'{resource}.'
            )
        return found

    def publish(self):
        """Give the object the image's name; nothing is overwritten."""
        self._moving = True
        try:
            api.rename(self._lease, self.path, self._target)
            return
        except exceptions.RemoteServiceUnavailable as exc:
            LOG.warning('%s It may have been done; trying once more.', exc)
        try:
            api.rename(self._lease, self.path, self._target)
        except (exceptions.Duplicate, exceptions.NotFound):
            if not self._is_published():
                raise

    def _is_published(self):
        found = catalog.look(self._lease, self._target)
        return found is not None and found.id == self._id

    def remove(self):
        """Remove what there is of the object; say so if that is not possible.

        Tried for a while: with a new connection if the one in use was lost.
        """
        if self._is_foreign:
            return
        self._close()
        try:
            tenacity.Retrying(
                retry=tenacity.retry_if_exception_type((
                    exceptions.InUseByStore,
                    exceptions.RemoteServiceUnavailable,
                )),
                # The first one may have waited for the server.
                stop=tenacity.stop_after_attempt(2) & (
                    tenacity.stop_after_delay(REMOVAL_SECONDS)
                ),
                wait=tenacity.wait_fixed(PAUSE), reraise=True,
            )(self._remove_once)
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            LOG.error(
                'An unfinished image could not be removed from iRODS and '
                'stays as %s: %s It is in nobody\'s way.', self.path, exc,
            )

    def _remove_once(self):
        try:
            api.unlink(self._lease, self.path)
        except exceptions.NotFound:
            # Not created, or moved without our hearing of it.
            if self._moving and self._is_published():
                api.unlink(self._lease, self._target)

    def _close(self):
        """An object that is open cannot be removed."""
        if self._opened is None:
            return
        try:
            self._opened.close(self._lease.settings.connection_timeout)
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            # Closed with its connection then, at the latest.
            LOG.debug('%s', exc)
            self._lease.drop()
