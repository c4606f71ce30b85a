# SPDX-License-Identifier: Apache-2.0

"""Glance's stores on this node, as glance_store offers them."""

import functools

import glance_store
from glance_store import capabilities
from glance_store import exceptions as store_exceptions
from oslo_config import cfg
from oslo_log import log as logging
import stevedore

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import cinder_volumes
from glance_copy_plugin.backends import file as file_copier
from glance_copy_plugin.backends import irods as irods_copier
from glance_copy_plugin.backends import rbd as rbd_copier
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

RESERVED_PREFIX = 'os_glance_'


def names():
    """Return the names of the stores that users may name."""
    return [
        name for name in CONF.enabled_backends
        if not name.startswith(RESERVED_PREFIX)
    ]


def driver(name):
    """Return the driver of a store, or None if it could not be loaded."""
    try:
        return glance_store.get_store_from_store_identifier(name)
    except (store_exceptions.UnknownScheme, KeyError):
        return None


def is_writable(name):
    """True if data can be put into the store of that name."""
    found = driver(name)
    return found is not None and found.is_capable(
        capabilities.BitMasks.WRITE_ACCESS
    )


def readable(recorded):
    """Return the :class:`~base.Location` objects that this node can read.

    :param recorded: the image's locations, as recorded, best first
    """
    default = CONF.glance_store.default_backend
    here = set(names())
    found = []
    for location in recorded:
        store = location.store or _store_of(location.url, here)
        if store not in here:
            continue
        its_driver = driver(store)
        if its_driver is None:
            continue
        found.append(
            base.Location(store=store, driver=its_driver, url=location.url)
        )
    return tuple(sorted(found, key=lambda each: each.store != default))


def location(store, url):
    """Return the :class:`~base.Location` of an object in a store."""
    return base.Location(store=store, driver=driver(store), url=url)


def _store_of(url, candidates):
    """Match a location that names no store, as old records do not."""
    for name in candidates:
        prefix = getattr(driver(name), 'url_prefix', None)
        if prefix and url.startswith(prefix):
            return name
    return None


class StoreSource:
    """One location as a :class:`~transfer.sources.Source`."""

    def __init__(self, location, context):
        self.store = location.store
        self._location = location
        self._context = context

    def local_file(self):
        return file_copier.local_path(self._location)

    def read_from(self, offset):
        can_seek = self._location.driver.is_capable(
            capabilities.BitMasks.READ_OFFSET
        )
        try:
            chunks, _size = glance_store.get(
                self._location.url, self.store,
                offset=offset if can_seek else 0, context=self._context,
            )
        except _LASTING as exc:
            raise errors.SourceGone(
                f'cannot be read: {reason(exc)}', store=self.store
            ) from exc
        skip = 0 if can_seek else offset
        try:
            for chunk in chunks:
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                yield chunk[skip:] if skip else chunk
                skip = 0
        finally:
            close = getattr(chunks, 'close', None)
            if close is not None:
                close()


def add(store, image_id, reader, size, algorithm, context):
    """Hand an image to a store's driver.

    :returns: what drivers return: URL, bytes written, md5, digest, metadata
    """
    return glance_store.add_with_multihash(
        CONF, image_id, reader, size, store, algorithm, context=context
    )


def delete(store, url, context):
    """Remove an object; one that is gone already is fine.

    :raises: whatever the driver raises
    """
    try:
        glance_store.delete(url, store, context=context)
    except store_exceptions.NotFound:
        LOG.debug('The object to remove from store %s is gone', store)


def exists(store, url, context):
    """True if the object is there."""
    try:
        size_of(store, url, context)
    except store_exceptions.NotFound:
        return False
    return True


def size_of(store, url, context):
    """Return the size of an object in bytes, as its store tells it.

    :returns: 0 or None if the store does not know
    :raises: whatever the driver raises
    """
    return glance_store.get_size_from_uri_and_backend(
        url, store, context=context
    )


def set_acls(store, url, image, members, context):
    """Let those read the object who may read the image."""
    public = image.visibility in ('public', 'community')
    glance_store.set_acls_for_multi_store(
        url, store, public=public,
        read_tenants=[] if public else members, context=context,
    )


def orphan_url(target, image_id, locations):
    """Return the URL of the object that keeps ``image_id`` from being added.

    None if it cannot be known, or if the image itself refers to it.
    """
    inventory = _inventory(target.driver)
    if inventory is None:
        return None
    return inventory.unrecorded_url(target.driver, image_id, locations)


def remove_partial(target, image_id):
    """Remove unfinished objects of an image that no process writes any more.

    Other drivers write in place; theirs is found as an orphan.
    """
    inventory = _inventory(target.driver)
    if inventory is not None:
        inventory.remove_partial(target.driver, image_id)


def list_objects(store):
    """Return (:class:`KeptObject`, size) pairs of a store that can tell.

    The size is a function that returns bytes, or None for what is gone.
    """
    its_driver = driver(store)
    inventory = its_driver and _inventory(its_driver)
    if not inventory:
        return
    for kept in inventory.list_objects(its_driver):
        yield kept, functools.partial(inventory.size_of, its_driver, kept)


def can_list(store):
    """True if the objects of a store can be listed, and orphans found."""
    its_driver = driver(store)
    return its_driver is not None and _inventory(its_driver) is not None


def is_named(store, kept, urls):
    """True if one of these locations means that object of the store."""
    return _inventory(driver(store)).is_named(kept, urls)


def remove_object(store, place):
    """Remove an object that :func:`list_objects` has found."""
    its_driver = driver(store)
    _inventory(its_driver).remove(its_driver, place)


def _inventory(its_driver):
    """Return the :class:`Inventory` for a driver, or None."""
    for inventory in _inventories():
        if inventory.serves(its_driver):
            return inventory
    return None


@functools.cache
def _inventories():
    """Return all inventories: those of this package, then those of others."""
    others = stevedore.ExtensionManager('glance_copy_plugin.keepers')
    return (
        file_copier, irods_copier, rbd_copier, cinder_volumes,
        *(extension.plugin for extension in others),
    )


_NO_SPACE = 'no space left'
# What a driver says and what will not pass by itself.
_LASTING = (
    store_exceptions.BadStoreConfiguration,
    store_exceptions.BadStoreUri,
    store_exceptions.Duplicate,
    store_exceptions.Forbidden,
    store_exceptions.HasSnapshot,
    store_exceptions.InUseByStore,
    store_exceptions.Invalid,
    store_exceptions.MissingCredentialError,
    store_exceptions.NotFound,
    store_exceptions.StorageFull,
    store_exceptions.StorageWriteDenied,
    store_exceptions.StoreAddDisabled,
    store_exceptions.StoreGetNotSupported,
    store_exceptions.UnknownHashingAlgo,
    store_exceptions.UnknownScheme,
    store_exceptions.UnsupportedBackend,
)


def target_error(error, store):
    """Return the :class:`TargetError` for what writing to a store raised."""
    if isinstance(error, errors.CopyError):
        return error
    if isinstance(error, _LASTING):
        return errors.TargetError(reason(error), store=store)
    return errors.target_error(error, reason(error), store=store)


def reason(error):
    """Say in a few words what a driver's exception means."""
    if isinstance(error, store_exceptions.StorageFull):
        return _full(str(error))
    if isinstance(error, store_exceptions.StorageWriteDenied):
        return 'writing was denied; check its permissions'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, errors.CopyError):
        return error.reason
    text = str(getattr(error, 'msg', '') or error).strip()
    return text or type(error).__name__


def _full(said):
    """Say that a store is full, and what its driver knows about it."""
    if said == store_exceptions.StorageFull.message:
        return _NO_SPACE
    return said if _NO_SPACE in said else f'{_NO_SPACE}: {said}'
