# SPDX-License-Identifier: Apache-2.0

"""The lock of an image: the id of the task that works on it."""

from glance.common import exception
import glance.context
import glance.db
from oslo_log import log as logging

from glance_copy_plugin.records import rows
from glance_copy_plugin.records import tasks
from glance_copy_plugin.records.retry import retried

LOG = logging.getLogger(__name__)


@retried
def lock(image_id, task_id):
    """Lock an image for a task; False if it is locked already."""
    try:
        glance.db.get_api().image_set_property_atomic(
            image_id, rows.LOCK, task_id
        )
    except exception.Duplicate:
        # It may be ours, if an answer of the database was lost.
        return lock_holder(image_id) == task_id
    return True


@retried
def lock_holder(image_id):
    """Return the task id in an image's lock, or None."""
    repo = glance.db.ImageRepo(
        glance.context.get_admin_context(), glance.db.get_api()
    )
    try:
        image = repo.get(image_id)
    except exception.NotFound:
        return None
    return image.extra_properties.get(rows.LOCK)


def lock_without_task(image_id):
    """Return the task id in an image's lock if there is no such task."""
    holder = lock_holder(image_id)
    if holder is None or tasks.status(holder) is not None:
        return None
    return holder


def lock_without_live_task(image_id):
    """Return the task id in an image's lock if that task works no more."""
    holder = lock_holder(image_id)
    if holder is None or tasks.status(holder) in tasks.LIVE:
        return None
    return holder


@retried
def unlock(image_id, task_id):
    """Drop the image's lock, if it is that task's, for a copy not begun."""
    with glance.db.get_api().session_for_write() as session:
        if not rows.unlock(session, image_id, task_id):
            LOG.info('Image %s is not locked by its copy any more', image_id)


def drop_stray_lock(image_id):
    """Undo a lock that was taken for a task that was never written."""
    holder = lock_without_task(image_id)
    if holder is not None:
        LOG.warning(
            'Image %s is locked for a task that does not exist; unlocking',
            image_id,
        )
        unlock(image_id, holder)
