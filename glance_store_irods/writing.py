# SPDX-License-Identifier: Apache-2.0

"""Writing an image so that it appears whole and verified, or not at all.

It is written to an object beside it, with a name of its own that ends in
``.part``, and gets its name last. iRODS takes a partly written object for good
as soon as it is closed, so that nothing of it may ever have the image's name.
The name is not reused: what a dead process left behind can be beyond our
rights to remove, and must not be in the way.
"""

import logging
import time
import uuid

from glance_store import exceptions
from irods import keywords

from glance_store_irods import errors
from glance_store_irods import location
from glance_store_irods import objects
from glance_store_irods import opened
from glance_store_irods import wire

LOG = logging.getLogger(__name__)

# Seconds between two tries to remove a partial object. The server needs a
# moment to notice that the connection it was written through is gone.
PAUSE = 0.2


def write(sessions, path, incoming):
    """Write a new object.

    :param sessions: Sessions
    :param incoming: Incoming; not read unless the path is free
    :raises: Duplicate if there is something at ``path``
    """
    with sessions.lease() as lease:
        if objects.look(lease, path) is not None:
            raise exceptions.Duplicate(image=path)
        partial = Partial(lease, path)
        try:
            partial.send(incoming)
            partial.complete(
                incoming.count,
                lambda checksum: incoming.check(checksum, partial.path),
            )
            partial.publish()
        except BaseException:
            partial.remove()
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

    def send(self, incoming):
        """Write all pieces, and let the zone complete the object."""
        settings = self._lease.settings
        placed = {}
        if settings.primary:
            placed[keywords.DEST_RESC_NAME_KW] = settings.primary
        try:
            self._opened = opened.Opened(
                self._lease, self.path, wire.CREATE_NEW, placed
            )
        except exceptions.Duplicate:
            self._is_foreign = True
            raise
        for piece in incoming.pieces():
            self._opened.write(piece)
        # The zone may replicate the object before it answers.
        self._opened.close(settings.long_timeout)

    def complete(self, size, check):
        """Compare the object with what it shall be; make its replica.

        :param check: called with the checksum that the zone computes of each
            replica; raises if that is wrong
        :returns: that checksum
        """
        found = objects.find(self._lease, self.path)
        self._id = found.id
        if found.size != size:
            raise exceptions.BackendException(
                f'{self.path} in iRODS has {found.size} bytes, but {size} '
                f'were sent.'
            )
        # There is more than one already if the zone replicates by itself.
        checksum = self._check(found, found.good, check)
        if self._lease.settings.replica:
            known = {replica.number for replica in found.replicas}
            found = self._replicate(found)
            self._check(found, [
                replica for replica in found.good
                if replica.number not in known
            ], check, fresh=True)
        return checksum

    def _check(self, found, replicas, check, fresh=False):
        """Have the checksum of each of these replicas computed and checked.

        :param fresh: one is recorded already, that of the source
        """
        for replica in replicas:
            checksum = objects.checksum(
                self._lease, self.path, fresh,
                replica.number if len(found.replicas) > 1 else None,
            )
            check(checksum)
        return checksum

    def _replicate(self, before):
        """Return the DataObject with a replica on the second resource."""
        resource = self._lease.settings.replica
        if any(replica.lies_in(resource) for replica in before.replicas):
            raise errors.misconfigured(
                self._lease.settings.store,
                f'images are written to the resource {resource} already, '
                f'which is to hold their second replica',
            )
        objects.replicate(self._lease, self.path, resource)
        found = objects.find(self._lease, self.path)
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
            objects.rename(self._lease, self.path, self._target)
            return
        except exceptions.RemoteServiceUnavailable as exc:
            LOG.warning('%s Asking again whether it was done.', exc)
        try:
            objects.rename(self._lease, self.path, self._target)
        except (exceptions.Duplicate, exceptions.NotFound):
            if not self._is_published():
                raise

    def _is_published(self):
        found = objects.look(self._lease, self._target)
        return found is not None and found.id == self._id

    def remove(self):
        """Remove what there is of the object; say so if that is not possible.

        Tried for a while: with a new connection if the one in use was lost.
        """
        if self._is_foreign:
            return
        self._close()
        ends = time.monotonic() + self._lease.settings.connection_timeout
        while True:
            try:
                self._remove_once()
                return
            except (
                exceptions.InUseByStore, exceptions.RemoteServiceUnavailable
            ) as exc:
                failure = exc
            except (
                exceptions.GlanceStoreException, exceptions.BackendException
            ) as exc:
                failure, ends = exc, 0
            if time.monotonic() > ends:
                break
            time.sleep(PAUSE)
        LOG.error(
            'A partial image could not be removed from iRODS and stays as '
            '%s: %s', self.path, failure,
        )

    def _remove_once(self):
        try:
            objects.unlink(self._lease, self.path)
        except exceptions.NotFound:
            # Not created, or moved without our hearing of it.
            if self._moving and self._is_published():
                objects.unlink(self._lease, self._target)

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
