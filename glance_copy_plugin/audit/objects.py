# SPDX-License-Identifier: Apache-2.0

"""Looking for objects without a location, and for those that are damaged."""

import re

from glance_store import exceptions as store_exceptions

from glance_copy_plugin.audit import findings
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.reconcile import verification
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record

_IMAGE_ID = re.compile(
    r'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$', re.I
)


def find_unrecorded(scope, store):
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
    if kept is not None and kept.advice:
        detail += f'; {kept.advice}'
    return findings.Finding(
        kind=kind, store=store, image_id=image_id, detail=detail, place=place,
        kept=kept, proved=doomed is not None,
    )


def _is_accounted_for(scope, store, kept):
    if scope.in_journal(kept.image_id):
        return True
    image = scope.image(kept.image_id)
    return not (kept.stale or kept.old) and image is not None and (
        scope.is_busy(image) or registry.is_named(
            store, kept, [location['url'] for location in image.locations]
        )
    )


def find_damaged(scope, image):
    """Yield what is wrong with the objects that an image refers to.

    :param scope: :class:`Scope`
    :param image: Glance's object for an image that nobody works on
    """
    for location in image.locations:
        if location['metadata'].get('store') not in scope.stores:
            continue
        wrong = _look(scope, image, location)
        # Looking may take long, and the image was read before it.
        if wrong is not None and _is_still_there(scope, image, location):
            kind, detail = wrong
            yield findings.Finding(
                kind=kind, store=location['metadata']['store'],
                image_id=image.image_id, detail=detail,
                place=location['url'],
            )


def _look(scope, image, location):
    """Return what is wrong as (kind, detail), or None."""
    url, store = location['url'], location['metadata']['store']
    try:
        size = registry.size_of(store, url, scope.context)
        if image.size not in (None, size):
            return findings.SIZE, f'{size} bytes instead of {image.size}'
        if scope.verify:
            wrong = verification.wrong(
                drivers.location(store, url),
                image_record.facts_of(image).expected(), scope.context,
                scope.on_bytes,
            )
            if wrong:
                return findings.HASH, wrong
    except store_exceptions.NotFound:
        return findings.MISSING, 'there is no such object'
    except Exception as exc:
        # Drivers have exceptions of their own; the audit goes on.
        return findings.UNREADABLE, findings.describe(exc)
    return None


def _is_still_there(scope, image, location):
    now = scope.image(image.image_id)
    return now is not None and not scope.is_busy(now) and any(
        each['url'] == location['url'] for each in now.locations
    )
