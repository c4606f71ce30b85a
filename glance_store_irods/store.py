# SPDX-License-Identifier: Apache-2.0

"""The driver: what glance_store calls, and what a copier may ask."""

import importlib
import logging

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions

from glance_store_irods import incoming
from glance_store_irods import location
from glance_store_irods import logs
from glance_store_irods import options
from glance_store_irods import settings

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
        self._zone = None
        self._problem = None

    def get_schemes(self):
        return (location.SCHEME,)

    def get_store_location_class(self):
        return location.StoreLocation

    def configure_add(self):
        """Check the options; ask the zone, but do without its answer.

        :raises: BadStoreConfiguration for what will not change by itself
        """
        logs.protect_urls()
        self._zone, self._problem = None, None
        group = self.backend_group or SINGLE_STORE_GROUP
        try:
            told = settings.read(self.conf, group)
            self._zone = _load_client(group).Zone(told)
        except exceptions.BadStoreConfiguration as exc:
            self._problem = exc
            raise
        # Closed by a slash, so that the collection a/b is not that of a/bc.
        self._url_prefix = location.url_of(told.collection) + '/'
        self.READ_CHUNKSIZE = self.WRITE_CHUNKSIZE = told.chunk_size
        try:
            self._zone.check()
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ) as exc:
            LOG.error(
                '%s. The store %s is used all the same, in case that passes.',
                str(exc).rstrip('.'), group,
            )
        finally:
            # Processes may be forked from here on.
            self._zone.sessions.close()

    @capabilities.check
    def get(self, location, offset=0, chunk_size=None, context=None):
        """Return a generator of an image's bytes, and their number.

        :param offset: where to begin
        :param chunk_size: how many bytes; up to the end if None
        """
        found = self.zone.find(self.path_of(location))
        size = found.size
        return (
            self.zone.read(found, offset or 0, chunk_size),
            chunk_size or size,
        )

    def get_size(self, location, context=None):
        """Return the size of an image in bytes."""
        return self.zone.find(self.path_of(location)).size

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
        data = incoming.Incoming(
            image_file, image_size, hashing_algo, verifier,
            self.zone.settings.chunk_size,
        )
        self.zone.write(path, data)
        LOG.debug('Wrote %d bytes to %s', data.count, path)
        metadata = {}
        if self.backend_group:
            metadata['store'] = self.backend_group
        return (
            location.url_of(path), data.count, data.checksum, data.multihash,
            metadata,
        )

    @capabilities.check
    def delete(self, location, context=None):
        """Remove an image."""
        self.zone.delete(self.path_of(location))

    # For those who copy images inside a zone, or look after it.

    @property
    def zone(self):
        """The Zone: its ``settings`` and ``sessions``, and operations.

        :raises: BadStoreConfiguration if the options cannot work
        """
        if self._zone is None:
            raise self._problem or exceptions.BadStoreConfiguration(
                store_name=self.backend_group or SINGLE_STORE_GROUP,
                reason='it has not been configured',
            )
        return self._zone

    def path_of(self, location):
        """Return the path of the object that a Location names.

        :raises: BadStoreUri if it does not lie in the store's collection
        """
        path = location.store_location.path
        collection = self.zone.settings.collection
        if not path.startswith(f'{collection}/'):
            raise exceptions.BadStoreUri(
                message=f'The location {path} in iRODS does not lie in the '
                        f'collection {collection} of the store.'
            )
        return path

    def new_path(self, image_id):
        """Return the path that an image gets in this store."""
        path = f'{self.zone.settings.collection}/{image_id}'
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

    def sees(self, path):
        """Tell whether there is a complete object for this store's user.

        It may lie in another store's collection, and in another zone that is
        federated with this one.
        """
        return self.zone.sees(path)

    def read(self, path):
        """Yield the bytes of the object at a path."""
        return self.zone.read(self.zone.find(path))

    def copy_here(self, source, image_id, size, *, beat, check):
        """Copy an object inside iRODS; no byte of it passes through here.

        See the module copying for what ``beat`` and ``check`` are.

        :param source: path of an object that ``sees`` is true for
        :param size: bytes that it must have
        :returns: the URL of the copy
        """
        path = self.new_path(image_id)
        self.zone.copy(source, path, size, beat=beat, check=check)
        return location.url_of(path)

    def url_of(self, path):
        """Return the URL to record for the object at a path."""
        return location.url_of(path)

    def session(self, action, path, patient=False):
        """Lend a session of python-irodsclient, for use by one thread.

        A context manager. In its block glance_store's exceptions are raised
        for the client's. It counts as one of the store's connections, so
        that not more of them than allowed are open.

        :param action: what is done, a verb for the errors
        :param path: what it is done to
        :param patient: wait for each answer as long as it takes the zone to
            handle a whole image
        """
        return self.zone.session(action, path, patient)

    def find(self, path):
        """Return the DataObject at a path: its id, size and replicas."""
        return self.zone.find(path)

    def checksum(self, path, fresh=False):
        """Return an object's checksum, such as 'sha2:' and base64.

        :param fresh: compute it now; else a recorded one will do
        """
        return self.zone.checksum(path, fresh)

    def remove(self, path):
        """Remove the object at a path, and all its replicas."""
        self.zone.delete(path)

    def list(self):
        """Return the paths of all objects in the collection.

        Those for which ``is_partial`` is true are being written, or were
        left by a process that died.
        """
        return self.zone.paths()

    def partials(self, image_id):
        """Return the paths of an image's incomplete objects.

        Whoever removes one must know that no process is writing the image.
        """
        start = f'{self.new_path(image_id)}.'
        return [
            path for path in self.list()
            if path.startswith(start) and self.is_partial(path)
        ]

    def unrecorded_url(self, image_id, urls):
        """Return the URL of what keeps an image from being added.

        :param urls: of the image's locations
        :returns: None if one of them is where the image would go
        """
        path = self.new_path(image_id)
        for url in urls:
            try:
                if location.path_of(url) == path:
                    return None
            except exceptions.BadStoreUri:
                """A location in a store of another kind."""
        return location.url_of(path)

    def is_partial(self, path):
        """Tell whether a path is that of an object that is not complete."""
        return path.endswith(location.PARTIAL)


def _load_client(group):
    """Return the module that needs python-irodsclient."""
    try:
        return importlib.import_module('glance_store_irods.zone')
    except ImportError as exc:
        if (exc.name or '').partition('.')[0] != 'irods':
            raise
        raise exceptions.BadStoreConfiguration(
            store_name=group,
            reason='the Python package python-irodsclient (3.3.0 or later) '
                   'is not installed',
        ) from exc
