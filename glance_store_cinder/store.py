# SPDX-License-Identifier: Apache-2.0

"""The driver: what glance_store calls, and what a copier may ask."""

import logging

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions
from glance_store._drivers.cinder import store as stock
from glance_store.common import utils
from oslo_config import cfg

from glance_store_cinder import attachments
from glance_store_cinder import copying
from glance_store_cinder import errors
from glance_store_cinder import locations
from glance_store_cinder import provenance
from glance_store_cinder import reading
from glance_store_cinder import sessions
from glance_store_cinder import settings as store_settings
from glance_store_cinder import volumes as cinder
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
    OPTIONS = store_settings.OPTIONS

    # The documentation of Cinder stores has always called it so.
    MULTI_BACKEND_OPTIONS = [
        cfg.StrOpt(
            option.dest, deprecated_name='description', help=option.help
        ) if option.dest == 'store_description' else option
        for option in driver.Store.MULTI_BACKEND_OPTIONS
    ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.associations = locations.Associations(self)
        self._settings = None
        self._problem = None
        self._sessions = None
        self._readers = None
        self._retries = attachments.Retries(self._collect_abandoned)
        self._type_is_known = False

    @property
    def name(self):
        """The name of the store."""
        return self.backend_group or SINGLE_STORE_GROUP

    @property
    def settings(self):
        """The :class:`CinderSettings` of the store.

        :raises: BadStoreConfiguration if the options cannot work
        """
        if self._settings is None:
            raise self._problem or self._misconfigured(
                'it has not been configured'
            )
        return self._settings

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
        self._settings = self._problem = None
        try:
            settings = store_settings.read(self.store_conf, self.name)
        except exceptions.BadStoreConfiguration as exc:
            self._problem = exc
            raise
        self._settings = settings
        self._sessions = sessions.Sessions(settings)
        self._readers = reading.Readers(settings.timeout, self._retries.add)
        for sentence in store_settings.doubts(settings):
            LOG.warning('Store %s: %s.', self.name, sentence)
        enabled = getattr(self.conf, 'enabled_backends', None) or {}
        store_settings.check_several(settings, [
            name for name, its_driver in enabled.items()
            if its_driver in _DRIVERS and name != self.name
        ])
        self._check_type_at_start()

    def client(self, context=None):
        """Return a client of Cinder.

        :param context: of the request
        """
        if self.settings.has_own_login:
            context = None
        with errors.translated('be reached'):
            return self._sessions.client(context)

    def volumes(self, context=None):
        """Return the :class:`Volumes` that the store's user sees.

        :param context: of the request
        """
        return cinder.Volumes(self.client(context), self.settings)

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
        volumes = self.volumes(context)
        volume = volumes.get(location.store_location.volume_id)
        size, offset = provenance.image_size(volume), offset or 0
        end = min(size, offset + chunk_size) if chunk_size else size
        if offset >= end:
            return iter(()), chunk_size or size
        self._retries.ensure_running()
        shared = self._readers.acquire(
            volume.id, lambda: self._attach(volumes, volume)
        )
        return reading.Chunks(
            shared, offset, end, self.READ_CHUNKSIZE, self._retries.add
        ), chunk_size or size

    def get_size(self, location, context=None):
        """Return the size of an image in bytes."""
        volume_id = location.store_location.volume_id
        return provenance.image_size(self.volumes(context).get(volume_id))

    @driver.back_compat_add
    @capabilities.check
    def add(
        self, image_id, image_file, image_size, hashing_algo, context=None,
        verifier=None,
    ):
        """Write an image into a new volume.

        :returns: URL, bytes written, md5, hash by ``hashing_algo``, metadata
        """
        checksum = utils.get_hasher('md5', False)
        multihash = utils.get_hasher(hashing_algo, False)
        data = writing.Incoming(
            image_file, image_size,
            [each for each in (checksum, multihash, verifier)
             if each is not None],
        )
        url = self._write(image_id, image_size, data, context)
        metadata = {}
        if self.backend_group:
            metadata['store'] = self.backend_group
        return (
            url, data.count, checksum.hexdigest(), multihash.hexdigest(),
            metadata,
        )

    def write_verified(self, image_id, source, size, context=None):
        """Write an image that others have hashed into a new volume.

        :param source: has ``read(size)``, which returns the last bytes only
            if all of them are right
        :param size: bytes
        :returns: the URL of the image
        """
        return self._write(
            image_id, size, writing.Incoming(source, size), context
        )

    def _write(self, image_id, size, data, context):
        """Return the URL of a new volume with the data of an Incoming."""
        volumes = self.volumes(context)
        self._check_type(volumes)
        volume = volumes.create(
            cinder.gigabytes_for(size),
            provenance.of_new(
                image_id, size, getattr(context, 'project_id', None),
                self.name,
            ),
        )
        try:
            writing.VolumeWriter(
                volumes, volume,
                lambda: self._attach(volumes, volume, writable=True),
            ).write(data.pieces(self.WRITE_CHUNKSIZE))
            volumes.finish(volume, data.count)
        except BaseException:
            self._remove(volumes, volume.id)
            raise
        LOG.debug('Wrote %d bytes to volume %s', data.count, volume.id)
        return self.url_of(volume.id)

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
        volumes = self.volumes(context)
        with errors.translated(f'delete volume {volume_id}'):
            if volumes.delete(volume_id):
                return
            attachments.release_dead(volumes.client, volume_id)
            volumes.remove_snapshots_of(volume_id)
            if volumes.delete(volume_id):
                return
            if volumes.has_snapshots(volume_id):
                raise exceptions.HasSnapshot()
            raise exceptions.InUseByStore()

    # For those who copy images inside Cinder, or look after them.

    def url_of(self, volume_id):
        """Return the URL to record for a volume."""
        return locations.url_of(self.backend_group, volume_id)

    def sees(self, volume_id):
        """Tell whether the store's user has a volume, of any store."""
        try:
            self.volumes().get(volume_id)
        except (exceptions.NotFound, exceptions.Forbidden):
            return False
        return True

    def copy_here(self, volume_id, image_id, size, *, beat, check):
        """Have Cinder copy the volume of an image; return the new one's URL.

        See the module copying for the parameters and for what is raised.
        """
        volumes = self.volumes()
        self._check_type(volumes)
        made = copying.copy(
            volumes, volume_id, image_id, size, beat=beat,
            check=lambda new_id: check(self.url_of(new_id)),
        )
        return self.url_of(made.id)

    def image_volumes(self, image_id=None):
        """Return the volumes that this store has made for images.

        Volumes of others are not among them, whatever they are called, nor
        are those of the store when it had another name.

        :param image_id: only for that image
        """
        name = cinder.name_of(image_id) if image_id else None
        return [
            volume for volume in self.volumes().find(name)
            if volume.metadata.get(provenance.STORE) == self.name
        ]

    def snapshots(self, image_id=None):
        """Return the snapshots that copies into this store need or left.

        :param image_id: only for that image
        """
        return self.volumes().find_snapshots(image_id)

    def remove_snapshot(self, snapshot_id):
        """Remove a snapshot; whoever does that knows that nobody needs it."""
        self.volumes().remove_snapshot(snapshot_id)

    def image_of(self, volume):
        """Return the id of the image that a volume or snapshot is for."""
        return volume.metadata.get(provenance.IMAGE)

    def is_partial(self, volume):
        """Tell whether a volume is being written, or was left unfinished."""
        return provenance.is_partial(volume)

    def size_of(self, volume_id):
        """Return the bytes of the image in a volume, or None if it is gone."""
        try:
            return provenance.image_size(self.volumes().get(volume_id))
        except exceptions.NotFound:
            return None

    def remove_volume(self, volume_id):
        """Remove a volume, and the attachments of those who wrote it.

        Whoever does that must know that nobody writes it now.
        """
        self._remove(self.volumes(), volume_id)

    # Internals.

    def _misconfigured(self, reason):
        return exceptions.BadStoreConfiguration(
            store_name=self.name, reason=reason
        )

    def _collect_abandoned(self):
        if self._readers is not None:
            self._readers.collect_abandoned()

    def _remove(self, volumes, volume_id):
        """Remove a volume of no use with all that holds it; never raises."""
        try:
            with errors.translated(f'detach volume {volume_id}'):
                attachments.release_dead(
                    volumes.client, volume_id, writer=True
                )
        except exceptions.NotFound:
            return
        except Exception as exc:
            LOG.warning('%s', exc)
        volumes.remove(volume_id)

    def _attach(self, volumes, volume, writable=False):
        return attachments.Attachment(
            volumes, volume, self.temporary_chown, writable
        ).open()

    def _check_type_at_start(self):
        self._type_is_known = False
        if not self.settings.has_own_login:
            return
        asking = sessions.Sessions(
            self.settings, timeout=_START_TIMEOUT, retries=0
        )
        try:
            cinder.Volumes(asking.client(), self.settings).check_type()
        except cinder.UnusableType as exc:
            self._problem = self._misconfigured(str(exc))
            raise self._problem from exc
        except Exception as exc:
            LOG.warning(
                'The volume type of store %(store)s could not be looked up; '
                'this is done when the first image is added: %(why)s',
                {'store': self.name, 'why': exc},
            )
        else:
            self._type_is_known = True

    def _check_type(self, volumes):
        if self._type_is_known:
            return
        try:
            volumes.check_type()
        except cinder.UnusableType as exc:
            self._problem = exc
            self.unset_capabilities(capabilities.BitMasks.WRITE_ACCESS)
            LOG.error(
                'Adding images to store %(store)s and deleting them there '
                'is disabled: %(why)s. Restart the service when the type is '
                'there.', {'store': self.name, 'why': exc},
            )
            raise exceptions.StoreAddDisabled(message=str(exc)) from exc
        self._type_is_known = True
