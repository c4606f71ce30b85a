# SPDX-License-Identifier: Apache-2.0

"""What a store asks of a zone, apart from moving an image's bytes.

The only module of this package that the store needs python-irodsclient for;
reading and writing come along with it.
"""

import contextlib
import logging

from glance_store import exceptions

from glance_store_irods import catalog
from glance_store_irods import copying
from glance_store_irods import errors
from glance_store_irods import objects
from glance_store_irods import reading
from glance_store_irods import sessions
from glance_store_irods import writing

LOG = logging.getLogger(__name__)


class Zone:
    """A zone, with the one collection that a store keeps its images in.

    All methods raise glance_store's exceptions.

    :param settings: Settings
    """

    def __init__(self, settings):
        self.settings = settings
        self.sessions = sessions.Sessions(settings)

    def check(self):
        """Ask whether everything that the options name is there."""
        settings, path = self.settings, self.settings.collection
        with self.sessions.lease() as lease:
            if not lease.run(
                lambda session: catalog.has_collection(session, path),
                'find', path,
            ):
                raise errors.misconfigured(
                    settings.store,
                    f'user {settings.account.user} sees no collection {path}',
                )
            for name in filter(None, (settings.primary, settings.replica)):
                if not lease.run(
                    lambda session, name=name: catalog.has_resource(
                        session, path, name
                    ), 'find', name,
                ):
                    raise errors.misconfigured(
                        settings.store,
                        f'zone {settings.zone} has no resource {name}',
                    )

    def find(self, path):
        """Return the DataObject at ``path``."""
        with self.sessions.lease() as lease:
            return objects.find(lease, path)

    def paths(self):
        """Return the paths of all objects that lie in the collection."""
        path = self.settings.collection
        with self.sessions.lease() as lease:
            names = lease.run(
                lambda session: catalog.names(session, path), 'list', path,
                again=True,
            )
        return [f'{path}/{name}' for name in names]

    def read(self, found, offset=0, length=None):
        """Yield the bytes of a DataObject; see the module reading."""
        return reading.chunks(self.sessions, found, offset, length)

    def write(self, path, incoming):
        """Write an object that does not exist yet; see the module writing."""
        writing.write(self.sessions, path, incoming)

    def sees(self, path):
        """Tell whether a complete object is at a path, in whatever zone."""
        with self.sessions.lease() as lease:
            found = objects.look(lease, path)
        return found is not None and bool(found.good)

    def copy(self, source, path, size, *, beat, check):
        """Copy an object within iRODS; see the module copying."""
        copying.copy(
            self.sessions, source, path, size, beat=beat, check=check
        )

    def delete(self, path):
        """Remove an object, also when the answer about that got lost."""
        with self.sessions.lease() as lease:
            found = objects.find(lease, path)
            try:
                objects.unlink(lease, path)
            except exceptions.RemoteServiceUnavailable:
                if not _is_gone(lease, found):
                    objects.unlink(lease, path)
            except exceptions.InUseByStore:
                if not _is_gone(lease, found):
                    raise
                for replica in found.replicas:
                    LOG.error(
                        '%s was removed from the catalog of iRODS, but its '
                        'file %s on %s could not be reached.',
                        path, replica.location, replica.hierarchy,
                    )

    def checksum(self, path, fresh=False):
        """Return the checksum of an object, as iRODS writes it.

        :param fresh: compute it, whatever was recorded before
        """
        with self.sessions.lease() as lease:
            return objects.checksum(lease, path, fresh)

    @contextlib.contextmanager
    def session(self, action, path, patient=False):
        """Lend a session of python-irodsclient to one thread.

        :param action: what is done with it, a verb for errors
        :param path: to what
        :param patient: wait for each answer as long as a whole image takes
        """
        seconds = (
            self.settings.long_timeout if patient else self.settings.timeout
        )
        with self.sessions.lease() as lease:
            link = lease.link()
            with lease.guarded(action, path), link.waiting(seconds):
                yield link.session


def _is_gone(lease, found):
    now = objects.look(lease, found.path)
    return now is None or now.id != found.id
