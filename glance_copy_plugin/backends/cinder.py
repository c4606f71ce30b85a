# SPDX-License-Identifier: Apache-2.0

"""Cinder to Cinder: a volume from a snapshot, with the type of the store.

For stores of the driver ``cinder_multi`` that have a login of their own.

Cinder tells no checksum of a volume: what proves the copy is its size, and
with ``verify = full`` its bytes.
"""

import glance_store
from glance_store import exceptions
from oslo_utils import units
from oslo_utils import uuidutils

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.transfer import staged_reader

_SCHEME = 'cinder://'
# Before the id of a snapshot, which is no volume.
_SNAPSHOT = 'snapshot/'


class CinderCopier:
    """Copies volumes within one Cinder."""

    def can_copy(self, locations, target):
        """True if the user of the target sees a volume of the image."""
        try:
            return any(
                target.driver.sees(volume_id)
                for volume_id in _volumes(locations)
            )
        except (exceptions.GlanceStoreException, exceptions.BackendException):
            return False

    def copy(self, request):
        """Copy the first of the image's volumes that Cinder copies.

        :raises: :class:`CannotServerCopy` if there is none
        """
        problems = []
        for volume_id in _volumes(request.locations):
            try:
                return _copy(volume_id, request)
            except (
                request.target.driver.CopyRefused, read_back.NotTheImage,
            ) as exc:
                problems.append(str(exc))
        raise base.CannotServerCopy(
            '; '.join(problems) or 'no volume holds the image'
        )


class CinderWriter(base.Writer):
    """Writes what staging has hashed into a volume; hashes nothing twice."""

    def write(self, request):
        """Send the staged bytes; the last ones come when all are right."""
        return request.target.stored(request.target.driver.write_verified(
            request.image_id,
            staged_reader.StagedReader(request.follower, request.on_bytes),
            request.size, request.context,
        ))


def _copy(volume_id, request):
    target = request.target

    def beat():
        request.cancel.check()
        request.on_bytes(0)

    def check(url):
        request.on_bytes(request.size)
        if request.verify == 'full':
            chunks, _size = glance_store.get(url, target.store)
            read_back.check(chunks, request)
        request.cancel.check()

    url = target.driver.copy_here(
        volume_id, request.image_id, request.size, beat=beat, check=check
    )
    return target.stored(url)


def _volumes(locations):
    """Return the ids of the volumes that locations name."""
    return [
        location.url.rpartition('/')[2] for location in locations
        if location.url.startswith(_SCHEME)
    ]


class CinderInventory(base.Inventory):
    """The volumes of a store, and what interrupted copies have left."""

    def list_objects(self, driver):
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

    def is_named(self, kept, urls):
        """True if one of these locations means that volume.

        Whatever store it names: a store may have had another name.
        """
        return any(
            url.rpartition('/')[2] == kept.place
            for url in urls if url.startswith(_SCHEME)
        )

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if the volume is gone."""
        if kept.place.startswith(_SNAPSHOT):
            sizes = [
                snapshot.size for snapshot in driver.snapshots(kept.image_id)
                if snapshot.id == kept.place.removeprefix(_SNAPSHOT)
            ]
            return sizes[0] * units.Gi if sizes else None
        return driver.size_of(kept.place)

    def remove(self, driver, place):
        """Remove a volume, if it is there, and whatever still holds it."""
        if place.startswith(_SNAPSHOT):
            driver.remove_snapshot(place.removeprefix(_SNAPSHOT))
        else:
            driver.remove_volume(place)

    def remove_partial(self, driver, image_id):
        """Remove unfinished volumes of that image, and snapshots to copy from.

        Only for a copy whose process is gone: nobody else writes that image.
        """
        for volume in driver.image_volumes(image_id):
            if driver.is_partial(volume):
                driver.remove_volume(volume.id)
        for snapshot in driver.snapshots(image_id):
            driver.remove_snapshot(snapshot.id)
        return ()

    def unrecorded_url(self, driver, image_id, locations):
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


def _has_own_login(driver):
    """False if Cinder can be asked only while there is a request."""
    try:
        return driver.settings.has_own_login
    except exceptions.BadStoreConfiguration:
        return False


BACKEND = base.Backend(
    drivers=('cinder_multi',), is_usable=_has_own_login,
    writer=CinderWriter(), copier=CinderCopier(),
    inventory=CinderInventory(),
)
