# SPDX-License-Identifier: Apache-2.0

"""Looking for objects in stores that no location names."""

import re

from glance_copy_plugin.audit import findings
from glance_copy_plugin.backends import registry
from glance_copy_plugin.records import history

_IMAGE_ID = re.compile(
    r'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$', re.I
)


def find(scope, store):
    """Yield the objects of a store, if it can list, that no location names.

    :param scope: :class:`Scope`
    :param store: name of the store
    """
    try:
        objects = list(registry.list_objects(store))
    except Exception as exc:
        yield findings.Finding(
            kind=findings.CLOSED, store=store, detail=findings.describe(exc),
        )
        return
    for kept, size in objects:
        if _is_accounted_for(scope, store, kept):
            continue
        found = unrecorded(
            findings.UNFINISHED if kept.partial else findings.UNRECORDED,
            kept.image_id, kept.place, kept.url, size, store, kept,
        )
        if found is not None:
            yield found


def is_image_id(name):
    """True if a file's name is the id of an image."""
    return _IMAGE_ID.match(name) is not None


def unrecorded(kind, image_id, place, url, size, store='', kept=None):
    """Return the :class:`Finding` for an object that nobody needs, or None.

    :param size: function that returns its bytes, or None if it is gone
    """
    doomed = history.awaits_scrubbing(image_id)
    if doomed is not None and url in doomed:
        return None
    try:
        count = size()
    except Exception as exc:
        detail = f'of unknown size: {findings.describe(exc)}'
    else:
        if count is None:
            return None
        detail = f'{count} bytes'
    if doomed is None:
        detail += ', of an image that this service does not know'
    return findings.Finding(
        kind=kind, store=store, image_id=image_id, detail=detail, place=place,
        kept=kept, proved=doomed is not None,
    )


def _is_accounted_for(scope, store, kept):
    if scope.in_journal(kept.image_id):
        return True
    image = scope.image(kept.image_id)
    return image is not None and (
        scope.is_busy(image) or registry.is_named(
            store, kept, [location['url'] for location in image.locations]
        )
    )
