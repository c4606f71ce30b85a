# SPDX-License-Identifier: Apache-2.0

"""Stores in Ceph, as RBD images of one pool each."""

from oslo_utils import uuidutils

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import rbd_copier
from glance_copy_plugin.backends import rbd_objects
from glance_copy_plugin.backends import rbd_streams


class RbdInventory(base.Inventory):
    """The images in the pool of a store."""

    def list_objects(self, driver):
        """Yield a :class:`KeptObject` for each image of an image's id."""
        with rbd_objects.module().connected(driver) as cluster:
            for name in cluster.names():
                partial = name.endswith(rbd_objects.PARTIAL)
                image_id = name.partition('.')[0] if partial else name
                if uuidutils.is_uuid_like(image_id):
                    yield base.KeptObject(
                        image_id=image_id, partial=partial, place=name,
                        url=rbd_objects.url(cluster, driver, name),
                    )

    def is_named(self, kept, urls):
        """True if one of these locations means that image."""
        return any(url in (kept.url, f'rbd://{kept.place}') for url in urls)

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if the image is gone."""
        with rbd_objects.module().connected(driver) as cluster:
            return cluster.size(kept.place)

    def remove(self, driver, place):
        """Remove an image of the pool, if it is there."""
        with rbd_objects.module().connected(driver) as cluster:
            rbd_objects.remove_when_free(cluster, place)

    def remove_partial(self, driver, image_id):
        """Remove unfinished copies of that image.

        Only for a copy whose process is gone: nobody else writes that image.
        """
        for kept in self.list_objects(driver):
            if kept.partial and kept.image_id == image_id:
                self.remove(driver, kept.place)
        # The driver writes under the final name; the caller removes that.
        with rbd_objects.module().connected(driver) as cluster:
            rbd_objects.until_free(lambda: not cluster.is_open(image_id))
        return ()

    def unrecorded_url(self, driver, image_id, locations):
        """Return the URL of what has the name of an image without a location.

        :param locations: the image's :class:`Location` objects
        :returns: None if there is no such thing
        """
        with rbd_objects.module().connected(driver) as cluster:
            if cluster.size(image_id) is None:
                return None
            url = rbd_objects.url(cluster, driver, image_id)
        if any(each.url in (url, f'rbd://{image_id}') for each in locations):
            return None
        return url


BACKEND = base.Backend(
    drivers=('rbd',), is_usable=rbd_objects.is_configured,
    reader=rbd_streams.RbdReader(), writer=rbd_streams.RbdWriter(),
    copier=rbd_copier.RbdCopier(), inventory=RbdInventory(),
)
