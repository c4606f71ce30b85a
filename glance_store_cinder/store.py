# SPDX-License-Identifier: Apache-2.0

"""The driver: what glance_store calls, and what a copier may ask."""

import logging

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions
from glance_store._drivers.cinder import store as stock
from oslo_config import cfg

from glance_store_cinder import attachments
from glance_store_cinder import cleanup
from glance_store_cinder import copying
from glance_store_cinder import errors
from glance_store_cinder import growth
from glance_store_cinder import incoming
from glance_store_cinder import legacy
from glance_store_cinder import locations
from glance_store_cinder import options
from glance_store_cinder import provenance
from glance_store_cinder import reading
from glance_store_cinder import sessions
from glance_store_cinder import settings
from glance_store_cinder import sharing
from glance_store_cinder import snapshots
from glance_store_cinder import volume_types
from glance_store_cinder import volumes
from glance_store_cinder import writing

LOG = logging.getLogger(__name__)

DRIVER = 'cinder_multi'
SINGLE_STORE_GROUP = 'glance_store'
_DRIVERS = ('cinder', DRIVER)
# Seconds to wait for Cinder when the service starts.
_START_TIMEOUT = 10


class Store(stock.Store):
    """Keeps each image in a volume of the store's own type."""

    CopyRefused = copying.Refused
    OPTIONS = options.OPTIONS

    # The documentation of Cinder stores has always called it so.
    MULTI_BACKEND_OPTIONS = [
        cfg.StrOpt(
            option.dest, deprecated_name='description', help=option.help
        ) if option.dest == 'store_description' else option
        for option in driver.Store.MULTI_BACKEND_OPTIONS
    ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.associations = legacy.Associations(self)
        self._told = None
        self._problem = None
        self._sessions = None
        self._readers = None
        self._janitor = cleanup.Janitor(self._look_for_abandoned)
        self._type_is_known = False

    @property
    def name(self):
        """The name of the store."""
        return self.backend_group or SINGLE_STORE_GROUP

    @property
    def told(self):
        """The :class:`CinderSettings` of the store.

        :raises: BadStoreConfiguration if the options cannot work
        """
        if self._told is None:
            raise self._problem or exceptions.BadStoreConfiguration(
                store_name=self.name, reason='it has not been configured'
            )
        return self._told

    def get_schemes(self):
        # glance_store looks a driver up by its name as if it were a scheme.
        return (locations.SCHEME, DRIVER)

    def get_store_location_class(self):
        return locations.StoreLocation

    def _set_url_prefix(self):
        self._url_prefix = locations.prefix_of(self.backend_group)

    def configure_add(self):
        """Check the options, and whether the volume type can be used.

        :raises: BadStoreConfiguration for what will not change by itself
        """
        self._told = self._problem = None
        try:
            self._told = settings.read(self.store_conf, self.name)
        except exceptions.BadStoreConfiguration as exc:
            self._problem = exc
            raise
        told = self._told
        self._sessions = sessions.Sessions(told)
        self._readers = sharing.Readers(told.patience, self._janitor.add)
        for sentence in settings.doubts(told):
            LOG.warning('Store %s: %s.', self.name, sentence)
        settings.check_several(told, self._others())
        self._check_type_at_start()

    def client(self, context=None):
        """Return a client of Cinder.

        :param context: of the request
        """
        told = self.told
        with errors.translated('be reached'):
            return self._sessions.client(context) if told else None

    def is_image_associated_with_store(self, context, volume_id):
        """Tell Glance whether a location without a store means this one."""
        try:
            return self.associations.is_ours(context, volume_id)
        except exceptions.BadStoreConfiguration as exc:
            LOG.debug('%s', exc)
            return False

    @capabilities.check
    def get(self, location, offset=0, chunk_size=None, context=None):
        """Return an iterator of an image's bytes, and their number.

        :param offset: where to begin
        :param chunk_size: how many bytes; up to the end if None
        """
        client, volume = self._volume(location, context)
        size, offset = provenance.image_size(volume), offset or 0
        end = min(size, offset + chunk_size) if chunk_size else size
        if offset >= end:
            return iter(()), chunk_size or size
        self._janitor.ensure_running()
        shared = self._readers.acquire(
            volume.id, lambda: self._attach(client, volume)
        )
        return reading.Chunks(
            shared, offset, end, self.READ_CHUNKSIZE, self._janitor.add
        ), chunk_size or size

    def get_size(self, location, context=None):
        """Return the size of an image in bytes."""
        return provenance.image_size(self._volume(location, context)[1])

    @driver.back_compat_add
    @capabilities.check
    def add(
        self, image_id, image_file, image_size, hashing_algo, context=None,
        verifier=None,
    ):
        """Write an image into a new volume.

        :returns: URL, bytes written, md5, hash by ``hashing_algo``, metadata
        """
        client = self.client(context)
        self._check_type(client)
        data = incoming.Incoming(
            image_file, image_size, hashing_algo, verifier
        )
        volume = volumes.create(
            client, self.told, growth.gigabytes_for(image_size),
            provenance.of_new(
                image_id, image_size, getattr(context, 'project_id', None),
                self.name,
            ),
        )
        try:
            writing.VolumeWriter(
                client, volume, self.told,
                lambda: self._attach(client, volume, writable=True),
            ).write(data.pieces(self.WRITE_CHUNKSIZE))
            volumes.finish(client, volume, data.count)
        except BaseException:
            self._remove(client, volume.id)
            raise
        LOG.debug('Wrote %d bytes to volume %s', data.count, volume.id)
        metadata = {}
        if self.backend_group:
            metadata['store'] = self.backend_group
        return (
            self.url_of(volume.id), data.count, data.checksum,
            data.multihash, metadata,
        )

    def delete(self, location, context=None):
        """Delete the volume of an image.

        :raises: InUseByStore if somebody reads it; Forbidden if the store is
            one that must not be changed
        """
        if not self.is_capable(capabilities.BitMasks.WRITE_ACCESS):
            # Glance would take StoreDeleteNotSupported for a success.
            raise exceptions.Forbidden(
                message='Deleting images from this store is disabled: '
                        f'{self._problem}'
            )
        volume_id = location.store_location.volume_id
        if self._readers.has(volume_id):
            raise exceptions.InUseByStore()
        client = self.client(context)
        with errors.translated(f'delete volume {volume_id}'):
            if volumes.delete(client, volume_id):
                return
            attachments.release_dead(client, volume_id)
            snapshots.remove_from(client, volume_id, self.told.patience)
            if volumes.delete(client, volume_id):
                return
            if volumes.has_snapshot(client, volume_id):
                raise exceptions.HasSnapshot()
            raise exceptions.InUseByStore()

    # For those who copy images inside Cinder, or look after them.

    def url_of(self, volume_id):
        """Return the URL to record for a volume."""
        return locations.url_of(self.backend_group, volume_id)

    def sees(self, volume_id):
        """Tell whether the store's user has a volume, of any store."""
        try:
            volumes.get(self.client(), volume_id)
        except (exceptions.NotFound, exceptions.Forbidden):
            return False
        return True

    def copy_here(self, volume_id, image_id, size, *, beat, check):
        """Have Cinder copy the volume of an image; return the new one's URL.

        See the module copying for the parameters and for what is raised.
        """
        client = self.client()
        self._check_type(client)
        made = copying.copy(
            client, self.told, volume_id, image_id, size, beat=beat,
            check=lambda new_id: check(self.url_of(new_id)),
        )
        return self.url_of(made.id)

    def image_volumes(self, image_id=None):
        """Return the volumes that this store has made for images.

        Volumes of others are not among them, whatever they are called, nor
        are those of the store when it had another name.

        :param image_id: only for that image
        """
        name = volumes.name_of(image_id) if image_id else None
        return [
            volume for volume in volumes.find(self.client(), name)
            if volume.metadata.get(provenance.STORE) == self.name
        ]

    def snapshots(self, image_id=None):
        """Return the snapshots that copies into this store need or left.

        :param image_id: only for that image
        """
        return snapshots.find(self.client(), self.name, image_id)

    def remove_snapshot(self, snapshot_id):
        """Remove a snapshot; whoever does that knows that nobody needs it."""
        snapshots.remove(self.client(), snapshot_id, self.told.patience)

    def image_of(self, volume):
        """Return the id of the image that a volume or snapshot is for."""
        return volume.metadata.get(provenance.IMAGE)

    def is_partial(self, volume):
        """Tell whether a volume is being written, or was left unfinished."""
        return provenance.is_partial(volume)

    def size_of(self, volume_id):
        """Return the bytes of the image in a volume, or None if it is gone."""
        try:
            return provenance.image_size(volumes.get(self.client(), volume_id))
        except exceptions.NotFound:
            return None

    def remove_volume(self, volume_id):
        """Remove a volume, and the attachments of those who wrote it.

        Whoever does that must know that nobody writes it now.
        """
        self._remove(self.client(), volume_id)

    # Internals.

    def _others(self):
        """Return the names of the other stores that use Cinder."""
        enabled = getattr(self.conf, 'enabled_backends', None) or {}
        return [
            name for name, its_driver in enabled.items()
            if its_driver in _DRIVERS and name != self.name
        ]

    def _volume(self, location, context):
        client = self.client(context)
        volume_id = location.store_location.volume_id
        return client, volumes.get(client, volume_id)

    def _look_for_abandoned(self):
        if self._readers is not None:
            self._readers.collect_abandoned()

    def _remove(self, client, volume_id):
        """Remove a volume of no use with all that holds it; never raises."""
        try:
            with errors.translated(f'detach volume {volume_id}'):
                attachments.release_dead(client, volume_id, writer=True)
        except exceptions.NotFound:
            return
        except Exception as exc:
            LOG.warning('%s', exc)
        volumes.remove(client, volume_id, self.told.patience)

    def _attach(self, client, volume, writable=False):
        return attachments.Attachment(
            client, volume, self.told, self.temporary_chown, writable
        ).open()

    def _check_type_at_start(self):
        told = self.told
        self._type_is_known = False
        if not told.has_own_login:
            return
        asking = sessions.Sessions(told, timeout=_START_TIMEOUT, retries=0)
        try:
            volume_types.check(asking.client(), told.volume_type)
        except volume_types.Unusable as exc:
            self._problem = exceptions.BadStoreConfiguration(
                store_name=self.name, reason=str(exc)
            )
            raise self._problem from exc
        except Exception as exc:
            LOG.warning(
                'The volume type of store %(store)s is looked up when it is '
                'needed, because that was not possible now: %(why)s',
                {'store': self.name, 'why': exc},
            )
        else:
            self._type_is_known = True

    def _check_type(self, client):
        if self._type_is_known:
            return
        try:
            volume_types.check(client, self.told.volume_type)
        except volume_types.Unusable as exc:
            self._problem = exc
            self.unset_capabilities(capabilities.BitMasks.WRITE_ACCESS)
            LOG.error(
                'Adding images to store %(store)s and deleting them there '
                'is disabled: %(why)s', {'store': self.name, 'why': exc},
            )
            raise exceptions.StoreAddDisabled(message=str(exc)) from exc
        self._type_is_known = True
