# SPDX-License-Identifier: Apache-2.0

"""The backends that are installed, and the inventories of their stores."""

import functools

from glance_store import exceptions
import stevedore

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import generic

NAMESPACE = 'glance_copy_plugin.backends'


@functools.cache
def installed():
    """Return ``{name: Backend}`` of every backend that can be loaded."""
    found = stevedore.ExtensionManager(NAMESPACE)
    return {each.name: each.plugin for each in sorted(found, key=_name)}


def serving(driver, names):
    """Return those backends that serve a driver, the generic one last.

    :param names: of the backends that may be used, most preferred first
    :returns: ``[(name, Backend)]``
    """
    known = installed()
    return [
        (name, known[name]) for name in names
        if name in known and known[name].serves(driver)
    ] + [('', generic.BACKEND)]


def orphan_url(store, image_id, locations):
    """Return the URL of the object that keeps ``image_id`` from being added.

    None if it cannot be known, or if the image itself refers to it.
    """
    driver = drivers.of_store(store)
    inventory = _inventory(driver)
    if inventory is None:
        return None
    return inventory.unrecorded_url(driver, image_id, locations)


def remove_partial(store, image_id):
    """Remove unfinished objects of an image that no process writes any more.

    Other drivers write in place; theirs is found as an orphan.

    :returns: a list of :class:`KeptObject` that cannot be removed yet
    """
    driver = drivers.of_store(store)
    inventory = _inventory(driver)
    if inventory is None:
        return []
    return list(inventory.remove_partial(driver, image_id))


def list_stale(store):
    """Return the unfinished objects of a store whose writer is gone."""
    driver = drivers.of_store(store)
    inventory = _inventory(driver)
    return [] if inventory is None else list(inventory.list_stale(driver))


def exists(store, url, context):
    """True if the object of a location is there."""
    try:
        size_of(store, url, context)
    except exceptions.NotFound:
        return False
    return True


def size_of(store, url, context):
    """Return the size of an object in bytes, as its store tells it.

    :returns: 0 or None if the store does not know
    :raises NotFound: if the object is gone
    :raises: whatever the driver raises
    """
    location = drivers.location(store, url)
    reader = next(
        (
            backend.reader for backend in installed().values()
            if backend.reader and backend.serves(location.driver)
        ), generic.BACKEND.reader,
    )
    return reader.size_of(location, context)


def check(store):
    """Ask the storage whether a store can be written as it is configured.

    :raises: whatever its driver raises
    """
    driver = drivers.of_store(store)
    for backend in installed().values():
        if backend.serves(driver):
            backend.check(driver)


def list_objects(store):
    """Return (:class:`KeptObject`, size) pairs of a store that can tell.

    The size is a function that returns bytes, or None for what is gone.
    """
    driver = drivers.of_store(store)
    inventory = _inventory(driver)
    if inventory is None:
        return
    for kept in inventory.list_objects(driver):
        yield kept, functools.partial(inventory.size_of, driver, kept)


def can_list(store):
    """True if the objects of a store can be listed, and orphans found."""
    return _inventory(drivers.of_store(store)) is not None


def is_named(store, kept, urls):
    """True if one of these locations means that object of the store."""
    return _inventory(drivers.of_store(store)).is_named(kept, urls)


def remove_object(store, place):
    """Remove an object that :func:`list_objects` has found."""
    driver = drivers.of_store(store)
    _inventory(driver).remove(driver, place)


def _inventory(driver):
    """Return the :class:`Inventory` for a driver, or None."""
    for backend in installed().values():
        if backend.inventory is not None and backend.serves(driver):
            return backend.inventory
    return None


def _name(extension):
    return extension.name
