# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What the records still tell of an image that is gone."""

from glance.common import exception
import glance.context
import glance.db
from glance.db import utils as db_utils

from glance_copy_plugin.records import image as image_
from glance_copy_plugin.records.retry import retried

_TASK = 'api_image_import'
_LIVE = ('pending', 'processing')


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
        _is_copy(task)
        and task['created_at'] <= image['deleted_at']
        and (
            task['status'] in _LIVE
            or task['updated_at'] >= image['deleted_at']
        )
        for task in db.tasks_get_by_image(admin, image_id)
    )


@retried
def copy_task(image_id, request_id):
    """Return the newest copy task that this request made, or None."""
    db = glance.db.get_api()
    admin = glance.context.get_admin_context()
    tasks = [
        task for task in db.tasks_get_by_image(admin, image_id)
        if _is_copy(task) and task['request_id'] == request_id
    ]
    return max(tasks, key=lambda task: task['created_at'], default=None)


@retried
def lock_without_task(image_id):
    """Return the task id in an image's lock if there is no such task."""
    holder = _lock_holder(image_id)
    if holder is None or _task_status(holder) is not None:
        return None
    return holder


@retried
def lock_without_live_task(image_id):
    """Return the task id in an image's lock if that task works no more."""
    holder = _lock_holder(image_id)
    if holder is None or _task_status(holder) in _LIVE:
        return None
    return holder


@retried
def is_live_task(task_id):
    """True if that task exists and has not ended."""
    return _task_status(task_id) in _LIVE


@retried
def was_ever_an_image(image_id):
    """True if the records know an image of that id, deleted or not."""
    try:
        glance.db.get_api().image_get(
            glance.context.get_admin_context(), image_id,
            force_show_deleted=True,
        )
    except exception.NotFound:
        return False
    return True


@retried
def empty_importing(image_id):
    """Empty the property that says which stores are still to be done."""
    glance.db.get_api().image_update(
        glance.context.get_admin_context(), image_id,
        {'properties': {image_.IMPORTING: ''}}, purge_props=False,
    )


def _lock_holder(image_id):
    repo = glance.db.ImageRepo(
        glance.context.get_admin_context(), glance.db.get_api()
    )
    try:
        image = repo.get(image_id)
    except exception.NotFound:
        return None
    return image.extra_properties.get(image_.LOCK)


def _task_status(task_id):
    try:
        task = glance.db.get_api().task_get(
            glance.context.get_admin_context(), task_id
        )
    except exception.NotFound:
        return None
    return task['status']


def _is_copy(task):
    request = (task.get('input') or {}).get('import_req') or {}
    return (
        task['type'] == _TASK
        and (request.get('method') or {}).get('name') == 'copy-image'
    )


def _was_visible(context, image):
    # Memberships are gone with the image; the owner's claim is not.
    return context.is_admin or (
        context.owner is not None and context.owner == image['owner']
    ) or db_utils.is_image_visible(context, image, lambda *a, **k: [])
