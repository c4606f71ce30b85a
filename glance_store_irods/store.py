# SPDX-License-Identifier: Apache-2.0

"""The driver: what glance_store calls, and what a copier may ask."""

import logging
import uuid

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions

from glance_store_irods import checksums
from glance_store_irods import location
from glance_store_irods import options
from glance_store_irods import settings as store_settings

try:
    from glance_store_irods import api
    from glance_store_irods import catalog
    from glance_store_irods import copying
    from glance_store_irods import errors
    from glance_store_irods import reading
    from glance_store_irods import sessions
    from glance_store_irods import unfinished
    from glance_store_irods import writing
except ImportError as exc:
    if (exc.name or '').partition('.')[0] != 'irods':
        raise
    # Without python-irodsclient there are options, and an explanation.
    sessions = None

LOG = logging.getLogger(__name__)

SINGLE_STORE_GROUP = 'glance_store'


class Store(driver.Store):
    """Keeps images as data objects in one collection of an iRODS zone."""

    _CAPABILITIES = (
        capabilities.BitMasks.READ_RANDOM
        | capabilities.BitMasks.WRITE_ACCESS
        | capabilities.BitMasks.DRIVER_REUSABLE
    )
    OPTIONS = options.OPTIONS

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._sessions = None
        self._problem = None

    def get_schemes(self):
        return (location.SCHEME,)

    def get_store_location_class(self):
        return location.StoreLocation

    def configure_add(self):
        """Check the options; ask the zone, but do without its answer.

        :raises: BadStoreConfiguration for what will not change by itself
        """
        location.redact_logs()
        self._sessions = self._problem = None
        name = self.backend_group or SINGLE_STORE_GROUP
        try:
            settings = store_settings.read(self.conf, name)
            if sessions is None:
                raise exceptions.BadStoreConfiguration(
                    store_name=name,
                    reason='the Python package python-irodsclient (3.3.0 or '
                           'later) is not installed',
                )
        except exceptions.BadStoreConfiguration as exc:
            self._problem = exc
            raise
        self._sessions = sessions.Sessions(settings)
        # Closed by a slash, so that the collection a/b is not that of a/bc.
        self._url_prefix = location.url_of(settings.collection) + '/'
        self.READ_CHUNKSIZE = self.WRITE_CHUNKSIZE = settings.chunk_size
        try:
            self._check_zone()
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            LOG.error(
                '%s. Store %s stays enabled and works once this is mended.',
                str(exc).rstrip('.'), name,
            )
        finally:
            # Processes may be forked from here on.
            self._sessions.close()

    def _check_zone(self):
        """Ask whether everything that the options name is there."""
        settings, path = self.settings, self.settings.collection
        with self.sessions.lease() as lease:
            if not catalog.has_collection(lease, path):
                raise errors.misconfigured(
                    settings.store,
                    f'user {settings.account.user} sees no collection {path}',
                )
            for name in filter(None, (settings.primary, settings.replica)):
                if not catalog.has_resource(lease, path, name):
                    raise errors.misconfigured(
                        settings.store,
                        f'zone {settings.zone} has no resource {name}',
                    )

    @capabilities.check
    def get(self, location, offset=0, chunk_size=None, context=None):
        """Return a generator of an image's bytes, and their number.

        :param offset: where to begin
        :param chunk_size: how many bytes; up to the end if None
        """
        found = self.find(self.path_of(location))
        # Tells at once if there is nothing good to read.
        size = found.size
        return (
            reading.chunks(self.sessions, found, offset or 0, chunk_size),
            chunk_size or size,
        )

    def get_size(self, location, context=None):
        """Return the size of an image in bytes."""
        return self.find(self.path_of(location)).size

    @driver.back_compat_add
    @capabilities.check
    def add(
        self, image_id, image_file, image_size, hashing_algo, context=None,
        verifier=None,
    ):
        """Write an image that does not exist yet.

        :returns: URL, bytes written, md5, hash by ``hashing_algo``, metadata
        """
        path = self.new_path(image_id)
        data = checksums.Incoming(
            image_file, image_size, hashing_algo, verifier,
            self.settings.chunk_size,
        )
        writing.write(self.sessions, path, data)
        LOG.debug('Wrote %d bytes to %s', data.count, path)
        metadata = {}
        if self.backend_group:
            metadata['store'] = self.backend_group
        hexdigests = data.hexdigests
        return (
            location.url_of(path), data.count, hexdigests['md5'],
            hexdigests[str(hashing_algo)], metadata,
        )

    @capabilities.check
    def delete(self, location, context=None):
        """Remove an image."""
        self.remove(self.path_of(location))

    # For those who copy images inside iRODS, or look after a store. All of
    # it raises glance_store's exceptions.

    @property
    def sessions(self):
        """The :class:`Sessions`: connections to the zone.

        :raises: BadStoreConfiguration if the options cannot work
        """
        if self._sessions is None:
            raise self._problem or exceptions.BadStoreConfiguration(
                store_name=self.backend_group or SINGLE_STORE_GROUP,
                reason='it has not been configured',
            )
        return self._sessions

    @property
    def settings(self):
        """The :class:`IrodsSettings` of the store.

        :raises: BadStoreConfiguration if the options cannot work
        """
        return self.sessions.settings

    def path_of(self, location):
        """Return the path of the object that a Location names.

        :raises: BadStoreUri if it does not lie in the store's collection
        """
        path = location.store_location.path
        collection = self.settings.collection
        if not path.startswith(f'{collection}/'):
            raise exceptions.BadStoreUri(
                message=f'The location {path} in iRODS does not lie in the '
                        f'collection {collection} of the store.'
            )
        return path

    def new_path(self, image_id):
        """Return the path that an image gets in this store."""
        path = f'{self.settings.collection}/{image_id}'
        location.check(path)
        if '/' in str(image_id):
            raise exceptions.BadStoreUri(
                message=f'{image_id} cannot be the name of an image in iRODS.'
            )
        return path

    def path_of_url(self, url):
        """Return the path of the object that a URL of any store names.

        :raises: BadStoreUri
        """
        return location.path_of(url)

    def url_of(self, path):
        """Return the URL to record for the object at a path."""
        return location.url_of(path)

    def is_partial(self, path):
        """Tell whether a path is that of an object that is not complete."""
        return path.endswith(location.PARTIAL)

    def find(self, path):
        """Return the DataObject at a path: its id, size and replicas.

        :raises: NotFound
        """
        with self.sessions.lease() as lease:
            return catalog.find(lease, path)

    def sees(self, path):
        """Tell whether there is a complete object for this store's user.

        It may lie in another store's collection, and in another zone that is
        federated with this one.
        """
        with self.sessions.lease() as lease:
            found = catalog.look(lease, path)
        return found is not None and bool(found.good)

    def check(self):
        """Have the zone make and remove an empty object, as for an image.

        :raises: what writing an image would
        """
        self._check_zone()
        name = f'check-{uuid.uuid4().hex[:12]}'
        writing.check(self.sessions, self.new_path(name))

    def sees_collection(self, path):
        """Tell whether this store's user sees a collection."""
        with self.sessions.lease() as lease:
            return catalog.has_collection(lease, path)

    def unfinished(self):
        """Return an :class:`Unfinished` for each unfinished object."""
        with self.sessions.lease() as lease:
            return unfinished.find(lease)

    def size_on_disk(self, path):
        """Return how many bytes lie there, whatever the catalog says.

        :raises: NotFound, RemoteServiceUnavailable if it is locked
        """
        with self.sessions.lease() as lease:
            opened = api.OpenObject(lease, path)
            try:
                return opened.size_on_disk()
            finally:
                opened.close()

    def list(self):
        """Return the paths of all objects in the collection.

        Those for which ``is_partial`` is true are being written, or were
        left by a process that died.
        """
        path = self.settings.collection
        with self.sessions.lease() as lease:
            names = catalog.list_names(lease, path)
        return [f'{path}/{name}' for name in names]

    def read(self, path):
        """Yield the bytes of the object at a path."""
        return reading.chunks(self.sessions, self.find(path), 0)

    def write_verified(self, image_id, source, hexdigests, *, wait):
        """Write an image that others have hashed.

        :param source: as :class:`checksums.Verified` wants it
        :param hexdigests: likewise
        :param wait: called with seconds, for as long as the zone cannot be
            reached; raises to stop
        :returns: the URL of the image
        """
        path = self.new_path(image_id)
        incoming = checksums.Verified(
            source, hexdigests, self.settings.chunk_size
        )
        writing.write(self.sessions, path, incoming, wait)
        return location.url_of(path)

    def copy_here(self, source, image_id, size, *, beat, check, wait=None):
        """Copy an object inside iRODS; no byte of it passes through here.

        See the module copying for what the functions are for.

        :param source: path of an object that ``sees`` is true for
        :param size: bytes that it must have
        :returns: the URL of the copy
        """
        path = self.new_path(image_id)
        copying.copy(
            self.sessions, source, path, size, beat=beat, check=check,
            wait=wait,
        )
        return location.url_of(path)

    def remove(self, path):
        """Remove the object at a path, and all its replicas.

        Also when the answer about that got lost.
        """
        with self.sessions.lease() as lease:
            found = catalog.find(lease, path)

            def is_gone():
                now = catalog.look(lease, path)
                return now is None or now.id != found.id

            try:
                api.unlink(lease, path)
            except exceptions.RemoteServiceUnavailable:
                if not is_gone():
                    api.unlink(lease, path)
            except exceptions.InUseByStore:
                if not is_gone():
                    raise
                self._say_left_behind(lease, found)

    def _say_left_behind(self, lease, removed):
        """Say which files the zone has forgotten and not removed."""
        down = catalog.down_among(
            lease, removed.path,
            sorted({replica.resource for replica in removed.replicas}),
        )
        for replica in removed.replicas:
            if replica.resource in down:
                LOG.error(
                    '%s was removed from the catalog of iRODS, but its file '
                    '%s on %s could not be reached. Remove that file by '
                    'hand.', removed.path, replica.location,
                    replica.hierarchy,
                )
