# SPDX-License-Identifier: Apache-2.0

"""What a store does in its zone, beside reading and writing images.

The only module of this package that the store needs python-irodsclient for.
"""

import logging

from glance_store import exceptions

from glance_store_irods import api
from glance_store_irods import copying
from glance_store_irods import errors
from glance_store_irods import reading
from glance_store_irods import sessions
from glance_store_irods import writing

LOG = logging.getLogger(__name__)


class Zone:
    """A zone, with the one collection that a store keeps its images in.

    All methods raise glance_store's exceptions.

    :param settings: :class:`IrodsSettings`
    """

    def __init__(self, settings):
        self.settings = settings
        self.sessions = sessions.Sessions(settings)

    def check(self):
        """Ask whether everything that the options name is there."""
        settings, path = self.settings, self.settings.collection
        with self.sessions.lease() as lease:
            if not api.has_collection(lease, path):
                raise errors.misconfigured(
                    settings.store,
                    f'user {settings.account.user} sees no collection {path}',
                )
            for name in filter(None, (settings.primary, settings.replica)):
                if not api.has_resource(lease, path, name):
                    raise errors.misconfigured(
                        settings.store,
                        f'zone {settings.zone} has no resource {name}',
                    )

    def find(self, path):
        """Return the DataObject at ``path``; NotFound if there is none."""
        with self.sessions.lease() as lease:
            return api.find(lease, path)

    def sees(self, path):
        """Tell whether a complete object is at a path, in whatever zone."""
        with self.sessions.lease() as lease:
            found = api.look(lease, path)
        return found is not None and bool(found.good)

    def paths(self):
        """Return the paths of all objects that lie in the collection."""
        path = self.settings.collection
        with self.sessions.lease() as lease:
            return [f'{path}/{name}' for name in api.list_names(lease, path)]

    def read(self, found, offset=0, length=None):
        """Yield the bytes of a DataObject; see the module reading."""
        return reading.chunks(self.sessions, found, offset, length)

    def write(self, path, incoming):
        """Write an object that does not exist yet; see the module writing."""
        writing.write(self.sessions, path, incoming)

    def copy(self, source, path, size, *, beat, check):
        """Copy an object within iRODS; see the module copying."""
        copying.copy(
            self.sessions, source, path, size, beat=beat, check=check
        )

    def delete(self, path):
        """Remove an object, also when the answer about that got lost."""
        with self.sessions.lease() as lease:
            found = api.find(lease, path)
            try:
                api.unlink(lease, path)
            except exceptions.RemoteServiceUnavailable:
                if not _is_gone(lease, found):
                    api.unlink(lease, path)
            except exceptions.InUseByStore:
                if not _is_gone(lease, found):
                    raise
                for replica in found.replicas:
                    LOG.error(
                        '%s was removed from the catalog of iRODS, but its '
                        'file %s on %s could not be reached. Remove that '
                        'file by hand.',
                        path, replica.location, replica.hierarchy,
                    )


def _is_gone(lease, found):
    now = api.look(lease, found.path)
    return now is None or now.id != found.id
