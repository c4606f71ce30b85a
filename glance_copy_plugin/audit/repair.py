# SPDX-License-Identifier: Apache-2.0

"""Repairing what an audit has found, where that is safe."""

import os
import shutil

from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import leftovers
from glance_copy_plugin.audit import records
from glance_copy_plugin.audit import repair_locations
from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import takeover
from glance_copy_plugin.reconcile import objects
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import locks
from glance_copy_plugin.records import tasks

_HELD = 'left alone: a process holds it; restart the service'
# What makes an image look busy cannot be left alone for that.
_BUSY_BY_ITSELF = (
    findings.LOCKED, findings.JOURNALLED, findings.STUCK,
    findings.INTERRUPTED,
)
_OTHER_WAYS = {
    findings.REPAIR: 'if another location is right, --repair copies it anew',
    findings.CORRECT: 'if it is the image, --correct-locations records it',
    findings.FIX: '--fix repairs it',
    None: 'only a person can decide what is right',
}


def repair(scope, finding, ways):
    """Repair one finding; return a few words on what was done.

    Everything is looked at once more right before: an image that somebody
    works on by now is left alone.

    :param scope: the :class:`Scope` that it was found in
    :param ways: which of ``FIX``, ``REPAIR`` and ``CORRECT`` are asked for
    """
    if not finding.proved:
        return 'left alone: it cannot be proved to be ours'
    if finding.way not in ways:
        return f'left alone: {_OTHER_WAYS[finding.way]}'
    image = scope.image(finding.image_id) if finding.image_id else None
    if (
        finding.kind not in _BUSY_BY_ITSELF
        and not _is_stale(finding)
        and image is not None
        and scope.is_busy(image)
    ):
        return findings.BUSY
    try:
        return _REPAIRS[finding.kind](scope, finding)
    except FileNotFoundError:
        return 'gone already'
    except Exception as exc:
        return f'not repaired: {findings.describe(exc)}'


def _unless_needed(is_it, remove):
    """Return a repair that removes data which nobody needs.

    :param is_it: ``is_it(finding, url)`` tells whether a URL means that data
    :param remove: ``remove(scope, finding)``
    """
    def safely(scope, finding):
        # No location ever names what is not finished.
        if not finding.image_id or _is_stale(finding):
            return remove(scope, finding)
        with scope.leased(finding.image_id) as lease:
            if lease is None:
                return findings.BUSY
            why = scope.objects(finding.image_id).why_needed(
                lambda url: is_it(finding, url)
            )
            if why == objects.NAMED:
                return f'left alone: {why} by now'
            if why:
                return (
                    f'left alone: {why}. Bring other data of the image in '
                    'order first'
                )
            return remove(scope, finding)

    return safely


def _is_stale(finding):
    return finding.kept is not None and finding.kept.stale


def _is_object(finding, url):
    return registry.is_named(finding.store, finding.kept, [url])


def _is_file(finding, url):
    return url == f'file://{finding.place}'


def _remove_object(scope, finding):
    registry.remove_object(finding.store, finding.place)
    return 'removed'


def _remove_staged(scope, finding):
    if finding.place in scope.space.reservations():
        scope.space.forget_dead()
        return _HELD if os.path.exists(finding.place) else 'removed'
    if os.path.isdir(finding.place):
        shutil.rmtree(finding.place)
    else:
        os.unlink(finding.place)
    return 'removed'


def _remove_entry(scope, finding):
    lease = scope.journal.take(finding.image_id)
    if lease is None:
        return _HELD
    try:
        if not leftovers.is_stale_entry(scope, finding.image_id):
            return findings.BUSY
        lease.remove()
    finally:
        lease.release()
    return 'removed'


def _unlock(scope, finding):
    if locks.lock_without_live_task(finding.image_id) != finding.place:
        return 'left alone: a task works on the image now'
    locks.unlock(finding.image_id, finding.place)
    return 'unlocked'


def _correct_property(scope, finding):
    image, name = scope.image(finding.image_id), finding.place
    if image is None:
        return findings.GONE
    named = image_record.split(image.extra_properties.get(name))
    right = named.difference(records.stale_stores(image, name))
    history.set_stores(image.image_id, name, ','.join(sorted(right)))
    return 'corrected'


def _end_task(scope, finding):
    if not records.is_stuck(scope, finding.place):
        return findings.BUSY
    tasks.fail(
        finding.place, 'ended by glance-copy audit: nothing worked on it',
    )
    locks.unlock(finding.image_id, finding.place)
    image = scope.image(finding.image_id)
    if image is not None and not scope.is_busy(image):
        history.set_stores(finding.image_id, image_record.IMPORTING, '')
    return 'ended as failed, unlocked the image'


def _carry_on(scope, finding):
    still = leftovers.is_interrupted(scope, finding.image_id)
    lease = scope.journal.take(finding.image_id) if still else None
    if lease is None:
        return findings.BUSY
    try:
        takeover.resume(lease)
    finally:
        lease.release()
    task = tasks.newest_copy(finding.image_id)
    return f'carried on: {task["status"]}, {task["message"]}'


_REPAIRS = {
    findings.UNRECORDED: _unless_needed(_is_object, _remove_object),
    findings.UNFINISHED: _unless_needed(_is_object, _remove_object),
    findings.STAGED: _unless_needed(_is_file, _remove_staged),
    findings.JOURNALLED: _remove_entry,
    findings.LOCKED: _unlock,
    findings.PROPERTY: _correct_property,
    findings.STUCK: _end_task,
    findings.INTERRUPTED: _carry_on,
    findings.MISSING: repair_locations.replace,
    findings.SIZE: repair_locations.replace,
    findings.HASH: repair_locations.replace,
    findings.MOVED: repair_locations.correct,
}
