# SPDX-License-Identifier: Apache-2.0

"""Glance's stores on this node, as glance_store offers them."""

import glance_store
from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions as store_exceptions
from glance_store import location as location_map
from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin.backends import base

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

RESERVED_PREFIX = 'os_glance_'


def store_names():
    """Return the names of the stores that users may name."""
    return [
        name for name in CONF.enabled_backends
        if not name.startswith(RESERVED_PREFIX)
    ]


def of_store(name):
    """Return the driver of a store, or None if it could not be loaded."""
    try:
        return glance_store.get_store_from_store_identifier(name)
    except (store_exceptions.UnknownScheme, KeyError):
        return None


def is_writable(name):
    """True if data can be put into the store of that name.

    What its driver said when it was loaded is enough, if that was yes: some
    connect to their storage each time that they are made, which takes long
    if that is far away. Storage that was away by then may be back.
    """
    return any(
        found is not None and found.is_capable(
            capabilities.BitMasks.WRITE_ACCESS
        ) for found in (look(name) for look in (_loaded, of_store))
    )


def _loaded(name):
    """Return the driver of a store as it is, or None."""
    kind = CONF.enabled_backends.get(name)
    stores = location_map.SCHEME_TO_CLS_BACKEND_MAP.get(kind, {})
    return stores.get(name, {}).get('store')


def readable(recorded):
    """Return the :class:`~base.Location` objects that this node can read.

    :param recorded: the image's locations, as recorded, best first
    """
    default = CONF.glance_store.default_backend
    here = set(store_names())
    found = []
    for location in recorded:
        store = location.store or _store_of(location.url, here)
        if store not in here:
            continue
        driver = of_store(store)
        if driver is None:
            continue
        found.append(
            base.Location(store=store, driver=driver, url=location.url)
        )
    return tuple(sorted(found, key=lambda each: each.store != default))


def location(store, url):
    """Return the :class:`~base.Location` of an object in a store."""
    return base.Location(store=store, driver=of_store(store), url=url)


def target(store):
    """Return the :class:`~base.Target` of a store."""
    return base.Target(store=store, driver=of_store(store))


def _store_of(url, candidates):
    """Match a location that names no store, as old records do not."""
    for name in candidates:
        prefix = getattr(of_store(name), 'url_prefix', None)
        if prefix and url.startswith(prefix):
            return name
    return None


def delete(store, url, context):
    """Remove an object; one that is gone already is fine.

    :raises: whatever the driver raises
    """
    try:
        glance_store.delete(url, store, context=context)
    except store_exceptions.NotFound:
        LOG.debug('The object to remove from store %s is gone', store)


def set_acls(target, url, read_access, context):
    """Let those read the object who may read the image.

    :param target: :class:`~base.Target`
    :param read_access: returns whether everybody may, and who else may; only
        called if that kind of store knows it
    """
    if getattr(type(target.driver), 'set_acls', None) is (
        driver.Store.set_acls
    ):
        return
    public, members = read_access()
    glance_store.set_acls_for_multi_store(
        url, target.store, public=public,
        read_tenants=[] if public else members, context=context,
    )
