# SPDX-License-Identifier: Apache-2.0

"""Writing an image into a volume that was made for it."""

import logging

from glance_store import exceptions
from oslo_utils import units

LOG = logging.getLogger(__name__)

_LARGEST_STEP = 64


class Incoming:
    """An image on its way in: read from a source once, and counted.

    :param source: has ``read(size)``
    :param size: how many bytes it should have; 0 if that is not known
    :param updated: hashes and the like, which get all bytes by their
        ``update``
    """

    def __init__(self, source, size, updated=()):
        self.count = 0
        self._source = source
        self._size = size
        self._updated = updated

    def pieces(self, size):
        """Yield pieces of at most ``size`` bytes.

        :raises: Invalid if there are more or less bytes than expected
        """
        while data := self._source.read(size):
            self.count += len(data)
            if self._size and self.count > self._size:
                raise self._wrong_size('at least ')
            for each in self._updated:
                each.update(data)
            yield data
        if self._size and self.count != self._size:
            raise self._wrong_size()

    def _wrong_size(self, more=''):
        return exceptions.Invalid(
            message=f'The image has {more}{self.count} bytes, but '
                    f'{self._size} were announced.'
        )


class VolumeWriter:
    """Fills a volume from its beginning; makes it larger if need be.

    :param volumes: :class:`Volumes`
    :param volume: cinderclient's object
    :param attach: returns an open, writable :class:`Attachment`
    """

    def __init__(self, volumes, volume, attach):
        self._volumes = volumes
        self._volume_id = volume.id
        self._gigabytes = volume.size
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
        if self._volumes.settings.extend_attached:
            self._extend('in-use')
            self._attachment.device.notice_growth()
            return
        self._attachment.device.flush()
        left = self._detach()
        if left is not None:
            left()
        self._extend('available')
        self._attachment = self._attach()

    def _extend(self, state):
        for size in next_sizes(self._gigabytes):
            try:
                self._gigabytes = self._volumes.extend(
                    self._volume_id, size, state
                )
                return
            except exceptions.StorageFull as exc:
                full = exc
                LOG.info('%s', exc)
        raise full

    def _detach(self):
        attachment, self._attachment = self._attachment, None
        return attachment.close() if attachment is not None else None


def next_sizes(gigabytes):
    """Return the sizes to try when a volume is full, the best first.

    Each extension costs a detachment and an attachment, so that steps get
    larger and larger. Where a quota does not allow that, one GiB may do.
    """
    step = min(gigabytes, _LARGEST_STEP)
    return [gigabytes + step] + ([gigabytes + 1] if step > 1 else [])
