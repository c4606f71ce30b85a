# SPDX-License-Identifier: Apache-2.0

"""Writing an image into a volume that was made for it."""

import logging

from glance_store import exceptions
from oslo_utils import units

from glance_store_cinder import growth
from glance_store_cinder import volumes

LOG = logging.getLogger(__name__)


class VolumeWriter:
    """Fills a volume from its beginning; makes it larger if need be.

    :param client: of Cinder
    :param volume: cinderclient's object
    :param told: :class:`Settings`
    :param attach: returns an open, writable :class:`Attachment`
    """

    def __init__(self, client, volume, told, attach):
        self._client = client
        self._volume_id = volume.id
        self._gigabytes = volume.size
        self._told = told
        self._attach = attach
        self._attachment = None
        self._position = 0

    def write(self, pieces):
        """Write all pieces; return when they are on the storage.

        :raises: what a piece raises; StorageFull if there is no room
        """
        try:
            self._attachment = self._attach()
            for piece in pieces:
                self._put(memoryview(piece))
            self._attachment.device.flush()
        finally:
            left = self._detach()
        if left is not None:
            # A volume that stays attached could not be read by others.
            left()

    def _put(self, view):
        while view:
            room = self._gigabytes * units.Gi - self._position
            if not room:
                self._grow()
                continue
            part, view = view[:room], view[room:]
            self._attachment.device.write(self._position, part)
            self._position += len(part)

    def _grow(self):
        sizes = growth.next_sizes(self._gigabytes)
        if not self._told.extend_attached:
            self._attachment.device.flush()
            left = self._detach()
            if left is not None:
                left()
        self._gigabytes = self._extend(sizes)
        if self._told.extend_attached:
            self._attachment.extended()
        else:
            self._attachment = self._attach()

    def _extend(self, sizes):
        during = 'in-use' if self._told.extend_attached else 'available'
        for size in sizes:
            try:
                return volumes.extend(
                    self._client, self._volume_id, size, during, self._told
                )
            except exceptions.StorageFull as exc:
                full = exc
                LOG.info('%s', exc)
        raise full

    def _detach(self):
        attachment, self._attachment = self._attachment, None
        return attachment.close() if attachment is not None else None
