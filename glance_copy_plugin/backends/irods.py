# SPDX-License-Identifier: Apache-2.0

"""iRODS to iRODS: the zone copies the data object by itself.

What proves the copy: its checksum, computed by the zone from the new bytes,
is that of the source; and that of the image, where the zone's hash scheme is
one that the image has a hash in. ``verify = full`` also reads the copy back.
"""

import contextlib

from glance_store import exceptions
from oslo_utils import uuidutils

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.transfer import staged_reader
from glance_store_irods import checksums


class IrodsCopier:
    """Copies data objects within a zone, or between federated ones."""

    def can_copy(self, locations, target):
        """True if the target's account sees an object of the image."""
        return any(
            _is_visible(location, target) for location in locations
        )

    def copy(self, request):
        """Copy the first of the image's objects that is good.

        :raises: :class:`CannotServerCopy` if there is none: streaming finds
            out what is wrong with them
        """
        problems = []
        for location in request.locations:
            if not _is_visible(location, request.target):
                continue
            try:
                return _copy(path_of(location), request)
            except (exceptions.NotFound, exceptions.BackendException) as exc:
                problems.append(str(exc))
        raise base.CannotServerCopy(
            '; '.join(problems) or 'this account sees no object of the image'
        )


def _copy(source, request):
    driver = request.target.driver

    def beat():
        request.cancel.check()
        request.on_bytes(0)

    def check(found, path):
        if request.verify != 'none':
            checksums.compare(
                found, request.expected.algorithm, request.expected.value
            )
        request.on_bytes(request.size)
        if request.verify == 'full':
            read_back.check(driver.read(path), request)
        request.cancel.check()

    url = driver.copy_here(
        source, request.image_id, request.size, beat=beat, check=check,
        wait=request.cancel.wait,
    )
    return request.target.stored(url)


class IrodsWriter(base.Writer):
    """Writes what staging has hashed, with the zone's usual hash too."""

    algorithms = ('sha256',)

    def write(self, request):
        """Send the staged bytes; the zone's checksum proves them."""
        return request.target.stored(request.target.driver.write_verified(
            request.image_id,
            staged_reader.StagedReader(request.follower, request.on_bytes),
            lambda: request.follower.hexdigests, wait=request.cancel.wait,
        ))


def path_of(location):
    """Return the path of the object of a location in an iRODS store."""
    return location.driver.path_of_url(location.url)


def _is_visible(location, target):
    """Ask with the account of the target, which is the one that copies."""
    if not BACKEND.serves(location.driver):
        return False
    try:
        if not location.url:
            return target.driver.sees_collection(
                location.driver.settings.collection
            )
        return target.driver.sees(path_of(location))
    except (exceptions.GlanceStoreException, exceptions.BackendException):
        return False


class IrodsInventory(base.Inventory):
    """The data objects in the collection of a store."""

    def list_objects(self, driver):
        """Yield a :class:`KeptObject` for each object of an image."""
        for path in driver.list():
            name = path.rpartition('/')[2]
            if uuidutils.is_uuid_like(name):
                yield base.KeptObject(
                    image_id=name, partial=False, place=path,
                    url=driver.url_of(path),
                )
        yield from self._unfinished(driver)

    def list_stale(self, driver):
        """Yield those that the zone says nobody writes any more."""
        return (kept for kept in self._unfinished(driver) if kept.stale)

    def _unfinished(self, driver):
        for found in driver.unfinished():
            image_id = found.path.rpartition('/')[2].partition('.')[0]
            if uuidutils.is_uuid_like(image_id):
                yield base.KeptObject(
                    image_id=image_id, partial=True, place=found.path,
                    url=driver.url_of(found.path), stale=found.is_stale,
                    old=found.is_old, advice=found.advice,
                )

    def is_named(self, kept, urls):
        """True if one of these locations means that object."""
        # Written by us, or by the first driver: with credentials and a host.
        return any(
            url == kept.url or url.rpartition('@')[2].endswith(kept.place)
            for url in urls if url.startswith('irods://')
        )

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if the object is gone.

        The catalog does not know the size of what is not finished.
        """
        try:
            if kept.partial:
                return driver.size_on_disk(kept.place)
            return driver.find(kept.place).largest
        except exceptions.NotFound:
            return None

    def remove(self, driver, place):
        """Remove an object, if it is there."""
        with contextlib.suppress(exceptions.NotFound):
            driver.remove(place)

    def remove_partial(self, driver, image_id):
        """Remove unfinished objects of that image.

        Only for a copy whose process is gone: nobody else writes that image.
        The zone may go on with what that process has asked for, and locks it.
        """
        locked = []
        for kept in self._unfinished(driver):
            if kept.image_id != image_id:
                continue
            try:
                self.remove(driver, kept.place)
            except exceptions.InUseByStore:
                locked.append(kept)
        return locked

    def unrecorded_url(self, driver, image_id, locations):
        """Return the URL of an object of that image that no location names.

        :param locations: the image's :class:`Location` objects
        :returns: None if there is no such object
        """
        path = driver.new_path(image_id)
        if not driver.sees(path):
            return None
        for location in locations:
            if BACKEND.serves(location.driver) and path_of(location) == path:
                return None
        return driver.url_of(path)


BACKEND = base.Backend(
    drivers=('irods',), writer=IrodsWriter(), copier=IrodsCopier(),
    inventory=IrodsInventory(), check=lambda driver: driver.check(),
)
