# SPDX-License-Identifier: Apache-2.0

"""Making a copy anew whose data is gone or damaged."""

import glance.context
import glance.gateway

from glance_copy_plugin.audit import words
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import abort
from glance_copy_plugin.reconcile import takeover
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.records import tasks


def replace(scope, finding):
    """Copy the image again into the store where its data is not right.

    Only if the data of another location was just read and is right. What the
    bad location names is removed, then the location; the rest is the copy
    that a user could ask for, with a task of its own. A service on this host
    carries it on if this process dies.

    :param scope: :class:`Scope`
    :param finding: :class:`Finding` of a location; its URL is ``place``
    :returns: a few words on what was done
    """
    store, url = finding.store, finding.place
    if not drivers.is_writable(store):
        return f'left alone: the store {store} cannot be written'
    with scope.leased(finding.image_id) as entry:
        image = scope.image(finding.image_id)
        if entry is None or image is None:
            return words.GONE if image is None else words.BUSY
        if image.status != 'active':
            return f'left alone: the image is {image.status}; activate it'
        unsafe = scope.not_safe_elsewhere(image, lambda each: each == url)
        if unsafe:
            return f'left alone: no other data of the image is right: {unsafe}'
        task = _begin(scope, image, store)
        if task is None:
            return words.BUSY
        record = image_record.ImageRecord(
            scope.context, image.image_id, task['id'], entry.check
        )
        try:
            _take_out(scope, record, store, url)
        except Exception as exc:
            abort.unlock(image.image_id, task['id'])
            tasks.fail(task['id'], words.describe(exc))
            raise
        try:
            takeover.carry_on(entry, task)
        except Exception:
            # The image is still locked for it: a service carries it on.
            entry.release()
            raise
    ended = tasks.by_id(task['id'])
    if ended['status'] == 'success':
        return 'copied anew'
    return f'not repaired: {ended["message"]}'


def _begin(scope, image, store):
    """Make the task of the copy and lock the image for it.

    :returns: the task as Glance's database gives it; None if the image is
        locked already
    """
    context = glance.context.RequestContext(
        user_id=scope.context.user_id, project_id=image.owner,
        roles=['admin'], is_admin=True, request_id=scope.context.request_id,
    )
    gateway = glance.gateway.Gateway()
    method = {'name': 'copy-image'}
    task = gateway.get_task_factory(context).new_task(
        task_type=tasks.TYPE, owner=image.owner, image_id=image.image_id,
        user_id=context.user_id, request_id=context.request_id,
        task_input={
            'image_id': image.image_id, 'backend': [store],
            'import_req': {'method': method, 'stores': [store]},
        },
    )
    if not history.lock(image.image_id, task.task_id):
        return None
    gateway.get_task_repo(context).add(task)
    return tasks.by_id(task.task_id)


def _take_out(scope, record, store, url):
    """Remove a bad location, and its object if the copy would not."""
    named = [location.url for location in record.facts().locations]
    if not registry.can_list(store) and named.count(url) == 1:
        drivers.delete(store, url, scope.context)
    record.remove_location(store, url)
