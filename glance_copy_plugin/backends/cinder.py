# SPDX-License-Identifier: Apache-2.0

"""Cinder to Cinder: a volume from a snapshot, with the type of the store.

Cinder tells no checksum of a volume: what proves the copy is its size, and
with ``verify = full`` its bytes.
"""

import glance_store
from glance_store import exceptions

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import cinder_volumes
from glance_copy_plugin.backends import read_back

_SCHEME = 'cinder://'


class CinderCopier:
    """Copies volumes within one Cinder."""

    name = 'cinder'
    needs_staging = False

    def can_copy(self, locations, target):
        """True if the user of the target sees a volume of the image."""
        if not cinder_volumes.serves(target.driver):
            return False
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
    return base.StoredObject(url=url, metadata={'store': target.store})


def _volumes(locations):
    """Return the ids of the volumes that locations name."""
    return [
        location.url.rpartition('/')[2] for location in locations
        if location.url.startswith(_SCHEME)
    ]
