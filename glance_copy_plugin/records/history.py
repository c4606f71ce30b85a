# SPDX-License-Identifier: Apache-2.0

"""What the records tell of an image beyond its copy."""

from glance.common import crypt
from glance.common import exception
import glance.context
import glance.db
from glance.db import utils as db_utils
from oslo_config import cfg

from glance_copy_plugin.records import tasks
from glance_copy_plugin.records.retry import retried

CONF = cfg.CONF


@retried
def deleted_during_copy(context, image_id):
    """True if the image was deleted while a copy of it was running.

    False also if the image was never visible to the requester.

    :param context: the requester's context
    """
    db = glance.db.get_api()
    admin = context.elevated()
    try:
        image = db.image_get(admin, image_id, force_show_deleted=True)
    except exception.NotFound:
        return False
    if not image['deleted'] or not _was_visible(context, image):
        return False
    return any(
        tasks.is_copy(task)
        and task['created_at'] <= image['deleted_at']
        and (
            task['status'] in tasks.LIVE
            or task['updated_at'] >= image['deleted_at']
        )
        for task in db.tasks_get_by_image(admin, image_id)
    )


def is_live_task(task_id):
    """True if that task exists and has not ended."""
    return tasks.status(task_id) in tasks.LIVE


@retried
def awaits_scrubbing(image_id):
    """Return URLs of an image's data that Glance's scrubber will remove.

    :returns: None if the records never knew an image of that id
    """
    try:
        image = glance.db.get_api().image_get(
            glance.context.get_admin_context(), image_id,
            force_show_deleted=True,
        )
    except exception.NotFound:
        return None
    return {
        _in_clear(location['url']) for location in image['locations']
        if location['status'] == 'pending_delete'
    }


@retried
def set_stores(image_id, name, value):
    """Set a reserved property of an image that nobody works on.

    :param value: names of stores, with commas
    """
    glance.db.get_api().image_update(
        glance.context.get_admin_context(), image_id,
        {'properties': {name: value}}, purge_props=False,
    )


def _in_clear(url):
    key = CONF.metadata_encryption_key
    return crypt.urlsafe_decrypt(key, url) if key else url


def _was_visible(context, image):
    # Memberships are gone with the image; the owner's claim is not.
    return context.is_admin or (
        context.owner is not None and context.owner == image['owner']
    ) or db_utils.is_image_visible(context, image, lambda *a, **k: [])
