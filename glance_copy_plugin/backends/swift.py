# SPDX-License-Identifier: Apache-2.0

"""Stores in Swift: the objects of images in the containers of one account."""

import contextlib

from oslo_utils import uuidutils

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import swift_copier
from glance_copy_plugin.backends import swift_objects
from glance_copy_plugin.backends import swift_streams


class SwiftInventory(base.Inventory):
    """Objects of images, and segments that belong to no image.

    The place of an object is ``container/key``; that of segments is
    ``container/prefix``, which ends with ``-``.
    """

    def list_objects(self, driver):
        """Yield a :class:`KeptObject` for each of an image's id."""
        with swift_objects.opened(driver) as first:
            for container in _containers(driver, first):
                yield from _kept(driver, container)

    def is_named(self, kept, urls):
        """True if one of these locations means that object."""
        place = swift_objects.Place.of_url(kept.url)
        return not kept.partial and any(place.may_be(url) for url in urls)

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if it is gone."""
        with _at(driver, kept.place) as (container, key):
            if _is_prefix(key):
                segments = container.listed(key)
                return sum(each.size for each in segments) or None
            found = container.find(key)
            return found and found.size

    def remove(self, driver, place):
        """Remove an object with its segments, or segments without one."""
        with _at(driver, place) as (container, key):
            if not _is_prefix(key):
                _remove_image(container, key)
            elif _unused(container, _image_of(key), {key}):
                container.remove_segments(key)

    def remove_partial(self, driver, image_id):
        """Remove segments of that image that no object names.

        Only for a copy whose process is gone: nobody else writes that image.
        """
        with swift_objects.opened(driver, image_id) as container:
            found = _prefixes(
                (each.key for each in container.listed(image_id)), image_id
            )
            if found:
                for prefix in _unused(container, image_id, found):
                    container.remove_segments(prefix)
        return ()

    def unrecorded_url(self, driver, image_id, locations):
        """Return the URL of an object of that image that no location names.

        :param locations: the image's :class:`Location` objects
        :returns: None if there is no such object
        """
        with swift_objects.opened(driver, image_id) as container:
            if container.find(image_id) is None:
                return None
            url = swift_objects.url(driver, container.name, image_id)
            place = swift_objects.Place.of_url(url)
            if any(
                place.may_be(each.url) and not _is_elsewhere(each, container)
                for each in locations
            ):
                return None
        return url


def _is_elsewhere(location, container):
    """True if a location is known to be in another account.

    Many stores call their container as glance_store does by default. The name
    of an account has the id of its project, which no other one has.
    """
    place = swift_objects.Place.of_url(location.url)
    if location.driver is None or not place.is_of(location.driver):
        return False
    with swift_objects.opened(location.driver) as other:
        return other.account != container.account


def _containers(driver, first):
    """Yield the containers that a store can have images in."""
    if not driver.store_conf.swift_store_multiple_containers_seed:
        yield first
        return
    for name in first.names(f'{first.name}_'):
        with contextlib.closing(first.beside(name)) as container:
            yield container


def _kept(driver, container):
    listed = container.listed()
    segments = {}
    for each in listed:
        if uuidutils.is_uuid_like(each.key):
            yield _object(driver, container, each.key, each.key)
        elif found := swift_objects.prefix_of(each.key):
            image_id, prefix = found
            segments.setdefault(image_id, set()).add(prefix)
    for image_id, prefixes in segments.items():
        for prefix in _unused(container, image_id, prefixes):
            yield _object(driver, container, image_id, prefix)


def _object(driver, container, image_id, key):
    return base.KeptObject(
        image_id=image_id, partial=_is_prefix(key),
        place=f'{container.name}/{key}',
        url=swift_objects.url(driver, container.name, key),
    )


def _unused(container, image_id, prefixes):
    """Return those of an image's prefixes that its object does not need.

    None if that cannot be told.
    """
    found = container.find(image_id)
    if found is None or not found.is_segmented:
        return prefixes
    if found.dynamic is not None:
        _container, named = found.dynamic
        # It may be a part of the prefix, or more: some of the segments.
        return {each for each in prefixes if not (
            each.startswith(named) or named.startswith(each)
        )}
    entries = container.manifest(image_id)
    if any(each.get('sub_slo') for each in entries):
        return set()
    return prefixes - _prefixes((
        each.get('name', '').rpartition('/')[2] for each in entries
    ), image_id)


def _prefixes(keys, image_id):
    """Return the prefixes of those segments that are an image's."""
    found = map(swift_objects.prefix_of, keys)
    return {each[1] for each in found if each and each[0] == image_id}


def _remove_image(container, image_id):
    """Remove the object first: what is left then is no image any more."""
    prefixes = _prefixes(
        (each.key for each in container.listed(image_id)), image_id
    )
    unused = _unused(container, image_id, prefixes)
    container.remove(image_id)
    for prefix in prefixes - unused:
        container.remove_segments(prefix)


@contextlib.contextmanager
def _at(driver, place):
    name, _, key = place.partition('/')
    with swift_objects.opened(driver, container=name) as container:
        yield container, key


def _is_prefix(key):
    return key.endswith('-')


def _image_of(prefix):
    return swift_objects.prefix_of(f'{prefix}00001')[0]


BACKEND = base.Backend(
    drivers=('swift',), is_usable=swift_objects.is_configured,
    reader=swift_streams.SwiftReader(), writer=swift_streams.SwiftWriter(),
    copier=swift_copier.SwiftCopier(), inventory=SwiftInventory(),
)
