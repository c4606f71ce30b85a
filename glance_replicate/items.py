# SPDX-License-Identifier: Apache-2.0

"""An image that is to be put on a target, wherever it comes from."""

import typing

from glance_replicate import errors
from glance_replicate import records
from glance_replicate import streams


class Item(typing.Protocol):
    """One image to put.

    ``image`` is its :class:`Image`; ``id`` and ``name`` are those of it.
    """

    def refresh(self):
        """Return the :class:`Image` as it is now.

        :raises: :class:`Vanished` if it is not to be copied any more
        """

    def prepare(self):
        """Look whether its bytes can be had, before anything is made.

        :raises: :class:`ReplicatorError` if not
        """

    def data(self):
        """Return the :class:`Source` of its bytes."""

    def members(self):
        """Return the projects that it is shared with."""


class CloudItem:
    """An image of an Image service."""

    def __init__(self, service, image, chunk=streams.CHUNK):
        self._service = service
        self._data = streams.CloudData(service, image.id, chunk)
        self.image = image
        self.id, self.name = image.id, image.name

    def refresh(self):
        record = self._service.image(self.id)
        if record is None:
            raise errors.Vanished(
                f'it was deleted on {self._service.name} meanwhile'
            )
        image = records.of_api(record)
        if image.status != 'active':
            raise errors.Vanished(
                f'it is {image.status} on {self._service.name}'
            )
        return image

    def prepare(self):
        if self.image.size != 0:
            self._data.begin()

    def data(self):
        return self._data

    def members(self):
        return self._service.members(self.id)
