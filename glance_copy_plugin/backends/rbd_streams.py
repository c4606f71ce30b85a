# SPDX-License-Identifier: Apache-2.0

"""Reading and writing images of Ceph as streams, at the speed of the link.

glance_store's driver reads and writes 8 MiB, waits, and does so again. Here
several requests are in flight, and zeroes neither travel nor take room.
"""

from glance_store import exceptions
from oslo_config import cfg

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import rbd_objects
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.transfer import errors

CONF = cfg.CONF


class RbdSource:
    """An image of Ceph as a :class:`~transfer.sources.Source`."""

    def __init__(self, location):
        self.store = location.store
        self._location = location

    def local_file(self):
        """Return None: it lies in a cluster."""

    def read_from(self, offset):
        """Yield the bytes from ``offset`` on.

        :raises: :class:`SourceGone`, OSError or what Ceph's bindings raise
        """
        driver = self._location.driver
        parsed = rbd_objects.parsed(self._location)
        with rbd_objects.module().connected(driver) as cluster:
            if parsed.fsid not in (None, cluster.identifier):
                raise errors.SourceGone(
                    'lies in another Ceph cluster than that of the store',
                    store=self.store,
                )
            try:
                yield from cluster.read(
                    parsed.image, offset, pool=parsed.pool,
                    snapshot=parsed.snapshot, in_flight=_in_flight(),
                )
            except exceptions.NotFound:
                raise errors.SourceGone(
                    'there is no such image or snapshot in Ceph',
                    store=self.store,
                ) from None


class RbdReader(base.Reader):
    """Reads with several requests in flight, and leaves out holes."""

    def source(self, location, context):
        """Return the :class:`RbdSource` of a location."""
        return RbdSource(location)


class RbdWriter(base.Writer):
    """Writes staged images with several requests in flight.

    Zeroes are not written: what was never written is read as zeroes.
    """

    def write(self, request):
        """Write to an image beside; it gets its name when all is right."""
        driver = request.target.driver
        name = request.image_id
        partial = rbd_objects.partial_name(name)
        with rbd_objects.module().connected(driver) as cluster:
            if cluster.size(name) is not None:
                raise exceptions.Duplicate(image=name)
            try:
                cluster.create(partial, request.size, driver.WRITE_CHUNKSIZE)
                with cluster.writing(partial, _in_flight()) as image:
                    _fill(image, request)
                    image.finish()
                    if request.verify == 'full':
                        read_back.check(cluster.read(partial), request)
                    image.protect(rbd_objects.SNAPSHOT)
                return rbd_objects.publish(cluster, partial, request)
            except BaseException:
                rbd_objects.discard_anew(driver, partial)
                raise


def _fill(image, request):
    """Write all that is staged, and return when it was found to be right."""
    follower = request.follower
    while True:
        request.cancel.check()
        position = follower.position
        wanted = rbd_objects.REQUEST - position % rbd_objects.REQUEST
        extent = follower.extent(wanted)
        if extent is None:
            return
        if hole := extent.hole():
            follower.took(hole)
        else:
            image.write(position, follower.take(wanted))
        request.on_bytes(follower.position)


def _in_flight():
    return CONF.copy_image.rbd_requests_in_flight
