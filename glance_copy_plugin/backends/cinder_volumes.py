# SPDX-License-Identifier: Apache-2.0

"""What lies in a Cinder store, and what interrupted processes left there.

The inventory of the driver ``cinder_multi``.
"""

from glance_store import exceptions
from oslo_utils import units
from oslo_utils import uuidutils

from glance_copy_plugin.backends import base

_SCHEME = 'cinder://'
# Before the id of a snapshot, which is no volume.
_SNAPSHOT = 'snapshot/'


def serves(driver):
    """True if that is the driver, with a login of its own.

    Without one, nobody could ask Cinder but while there is a request.
    """
    try:
        return (
            hasattr(driver, 'image_volumes') and driver.settings.has_own_login
        )
    except exceptions.BadStoreConfiguration:
        return False


def list_objects(driver):
    """Yield a :class:`KeptObject` for each volume of an image."""
    for volume in driver.image_volumes():
        image_id = driver.image_of(volume)
        if uuidutils.is_uuid_like(image_id):
            yield base.KeptObject(
                image_id=image_id, partial=driver.is_partial(volume),
                place=volume.id, url=driver.url_of(volume.id),
            )
    for snapshot in driver.snapshots():
        image_id = driver.image_of(snapshot)
        if uuidutils.is_uuid_like(image_id):
            place = f'{_SNAPSHOT}{snapshot.id}'
            yield base.KeptObject(
                image_id=image_id, partial=True, place=place, url=place,
            )


def is_named(kept, urls):
    """True if one of these locations means that volume.

    Whatever store it names: a store may have had another name.
    """
    return any(
        url.rpartition('/')[2] == kept.place
        for url in urls if url.startswith(_SCHEME)
    )


def size_of(driver, kept):
    """Return the size in bytes, or None if the volume is gone."""
    if kept.place.startswith(_SNAPSHOT):
        sizes = [
            snapshot.size for snapshot in driver.snapshots(kept.image_id)
            if snapshot.id == kept.place.removeprefix(_SNAPSHOT)
        ]
        return sizes[0] * units.Gi if sizes else None
    return driver.size_of(kept.place)


def remove(driver, place):
    """Remove a volume, if it is there, and whatever still holds it."""
    if place.startswith(_SNAPSHOT):
        driver.remove_snapshot(place.removeprefix(_SNAPSHOT))
    else:
        driver.remove_volume(place)


def remove_partial(driver, image_id):
    """Remove unfinished volumes of that image, and snapshots to copy from.

    Only for a copy whose process is gone: nobody else writes that image.
    """
    for volume in driver.image_volumes(image_id):
        if driver.is_partial(volume):
            driver.remove_volume(volume.id)
    for snapshot in driver.snapshots(image_id):
        driver.remove_snapshot(snapshot.id)


def unrecorded_url(driver, image_id, locations):
    """Return the URL of a complete volume of that image in no location.

    It keeps nobody from adding the image, but nobody would remove it.

    :param locations: the image's :class:`Location` objects
    :returns: None if there is no such volume
    """
    named = {location.url.rpartition('/')[2] for location in locations}
    for volume in driver.image_volumes(image_id):
        if volume.id not in named and not driver.is_partial(volume):
            return driver.url_of(volume.id)
    return None
