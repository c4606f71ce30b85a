# SPDX-License-Identifier: Apache-2.0

"""Looking at what the records say: of images, and of the tasks of copies."""

import collections

from glance_copy_plugin.audit import findings
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import locks
from glance_copy_plugin.records import tasks


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
    holder = locks.lock_without_live_task(image.image_id)
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


def find_stuck_tasks(scope):
    """Yield the copy tasks that have not ended and never will.

    :param scope: :class:`Scope`
    """
    for task in tasks.live_copies():
        if _is_stuck(scope, task):
            yield findings.Finding(
                kind=findings.STUCK, image_id=task['image_id'],
                detail=f'task {task["id"]} is {task["status"]} and was last '
                f'updated at {task["updated_at"]:%Y-%m-%d %H:%M:%S}',
                place=task['id'],
            )


def is_stuck(scope, task_id):
    """True if that task is still one of them."""
    return any(
        task['id'] == task_id and _is_stuck(scope, task)
        for task in tasks.live_copies()
    )


def _is_stuck(scope, task):
    # A running copy updates its task all the time, on whatever host. One that
    # waits for a thread of Glance cannot: Glance gives it twice the time too.
    factor = 2 if task['status'] == 'pending' else 1
    return (
        not scope.in_journal(task['image_id'])
        and scope.is_old(task['updated_at'], factor)
    )
