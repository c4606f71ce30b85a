# SPDX-License-Identifier: Apache-2.0

"""Looking at what an image's record says about copies and stores."""

import collections

from glance_copy_plugin.audit import findings
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record


def find(scope, image):
    """Yield what cannot be right in an image's record, without its data.

    :param scope: :class:`Scope`
    :param image: Glance's object for the image
    """
    if image_record.LOCK in image.extra_properties:
        yield from _find_stale_lock(scope, image)
    if scope.is_busy(image):
        return
    yield from _find_stale_properties(image)
    yield from _find_wrong_locations(image)


def stale_stores(image, name):
    """Return the stores that a property names and should not, sorted.

    :param image: Glance's object for an image that nobody works on
    """
    stores = image_record.split(image.extra_properties.get(name))
    if name == image_record.FAILED:
        stores &= frozenset(_stores(image))
    return sorted(stores)


def _find_stale_lock(scope, image):
    holder = history.lock_without_live_task(image.image_id)
    if holder is not None and not scope.in_journal(image.image_id):
        yield findings.Finding(
            kind=findings.LOCKED, image_id=image.image_id,
            detail='locked for a task that has ended or is gone',
            place=holder,
        )


def _find_stale_properties(image):
    words = {
        image_record.IMPORTING: 'says that it is being copied to',
        image_record.FAILED: 'has, and says that it failed to get, a copy in',
    }
    for name, said in words.items():
        stale = stale_stores(image, name)
        if stale:
            yield findings.Finding(
                kind=findings.PROPERTY, image_id=image.image_id,
                detail=f'{said} {", ".join(stale)}', place=name,
            )


def _find_wrong_locations(image):
    if not image.locations:
        yield findings.Finding(
            kind=findings.HOMELESS, image_id=image.image_id,
            detail=f'is {image.status}, and no location holds its data',
        )
    counted = collections.Counter(_stores(image))
    for store, count in sorted(counted.items()):
        # A store that cannot be written may have been given any URLs.
        if count > 1 and drivers.is_writable(store):
            yield findings.Finding(
                kind=findings.TWICE, store=store, image_id=image.image_id,
                detail=f'{count} locations',
            )


def _stores(image):
    """Return the store of each location that names one."""
    named = [each['metadata'].get('store') for each in image.locations]
    return [store for store in named if store]
