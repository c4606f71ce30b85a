# SPDX-License-Identifier: Apache-2.0

"""Repairing a location whose data is gone, damaged, or at another place."""

import glance.context
import glance.gateway

from glance_copy_plugin.audit import findings
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import takeover
from glance_copy_plugin.reconcile import verification
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import locks
from glance_copy_plugin.records import tasks
from glance_copy_plugin.records import urls


def correct(scope, finding):
    """Record an object that was found to be at another place.

    Only one that was just read and is the image. Nobody copies the image
    meanwhile.

    :param scope: :class:`Scope`
    :param finding: :class:`Finding` with the object, and in ``place`` the URL
        that names it wrongly, or an empty string if no location does
    :returns: a few words on what was done
    """
    with scope.leased(finding.image_id) as lease:
        if lease is None:
            return findings.BUSY
        image = scope.image(finding.image_id)
        if image is None:
            return findings.GONE
        expected = image_record.facts_of(image).expected()
        if expected.size is None and not expected.algorithm:
            return (
                'left alone: neither a size nor a hash is recorded that the '
                'object could be compared with'
            )
        wrong = verification.wrong(
            drivers.location(finding.store, finding.kept.url), expected,
            scope.context, scope.on_bytes,
        )
        if wrong:
            return f'left alone: the object is not the image: {wrong}'
        if finding.place:
            changed = urls.replace(
                finding.image_id, finding.place, finding.kept.url
            )
        else:
            changed = urls.record_first(
                finding.image_id, finding.kept.url, {'store': finding.store}
            )
        return 'location corrected' if changed else findings.CHANGED


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
    with scope.leased(finding.image_id) as lease:
        image = scope.image(finding.image_id)
        if lease is None or image is None:
            return findings.GONE if image is None else findings.BUSY
        if image.status != 'active':
            return f'left alone: the image is {image.status}; activate it'
        facts = image_record.facts_of(image)
        unproved = scope.objects(image.image_id).why_unproved(
            facts, [each for each in facts.locations if each.url != url]
        )
        if unproved:
            return (
                f'left alone: no other data of the image is right: {unproved}'
            )
        task = _begin(scope, image, store)
        if task is None:
            return findings.BUSY
        record = image_record.ImageRecord(
            scope.context, image.image_id, task['id'], lease.check
        )
        try:
            _take_out(scope, record, store, url)
        except Exception as exc:
            locks.unlock(image.image_id, task['id'])
            tasks.fail(task['id'], findings.describe(exc))
            raise
        try:
            takeover.carry_on(lease, task)
        except Exception:
            # The image is still locked for it: a service carries it on.
            lease.release()
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
    if not locks.lock(image.image_id, task.task_id):
        return None
    gateway.get_task_repo(context).add(task)
    return tasks.by_id(task.task_id)


def _take_out(scope, record, store, url):
    """Remove a bad location, and its object if the copy would not."""
    named = [location.url for location in record.facts().locations]
    if not registry.can_list(store) and named.count(url) == 1:
        drivers.delete(store, url, scope.context)
    record.remove_location(store, url)
