# SPDX-License-Identifier: Apache-2.0

"""Looking at the object of each location: there, whole, and right?"""

from glance_store import exceptions as store_exceptions

from glance_copy_plugin.audit import findings
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.reconcile import verification
from glance_copy_plugin.records import image_record


def find(scope, image):
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
        size = drivers.size_of(store, url, scope.context)
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
