# SPDX-License-Identifier: Apache-2.0

"""Repairing what an audit has found, where that is safe."""

import os
import shutil

from glance_copy_plugin import stores as stores_
from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import leftovers
from glance_copy_plugin.audit import records
from glance_copy_plugin.audit import stuck
from glance_copy_plugin.audit import words
from glance_copy_plugin.flow import failing
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.records import tasks

_HELD = 'left alone: a process holds it; restart the service'
_BUSY = 'left alone: somebody works on the image now'
# What makes an image look busy cannot be left alone for that.
_BUSY_BY_ITSELF = (findings.LOCKED, findings.JOURNALLED, findings.STUCK)


def repair(scope, finding):
    """Repair one finding; return a few words on what was done.

    Everything is looked at once more right before: an image that somebody
    works on by now is left alone.

    :param scope: the :class:`Scope` that it was found in
    """
    if not finding.repairable:
        return 'left alone: ' + (
            'it cannot be proved to be ours' if not finding.proved
            else 'only a person can decide what is right'
        )
    image = scope.image(finding.image_id) if finding.image_id else None
    if (
        finding.kind not in _BUSY_BY_ITSELF
        and image is not None
        and scope.is_busy(image)
    ):
        return _BUSY
    try:
        return _REPAIRS[finding.kind](scope, finding)
    except FileNotFoundError:
        return 'gone already'
    except Exception as exc:
        return f'not repaired: {words.describe(exc)}'


def _remove_object(scope, finding):
    stores_.remove_object(finding.store, finding.place)
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
    entry = scope.journal.take(finding.image_id)
    if entry is None:
        return _HELD
    try:
        if not leftovers.is_stale_entry(scope, finding.image_id):
            return _BUSY
        entry.remove()
    finally:
        entry.release()
    return 'removed'


def _unlock(scope, finding):
    if history.lock_without_live_task(finding.image_id) != finding.place:
        return 'left alone: a task works on the image now'
    failing.unlock(finding.image_id, finding.place)
    return 'unlocked'


def _correct_property(scope, finding):
    image, name = scope.image(finding.image_id), finding.place
    if image is None:
        return 'left alone: the image is gone'
    named = image_record.split(image.extra_properties.get(name))
    right = named.difference(records.stale_stores(image, name))
    history.set_stores(image.image_id, name, ','.join(sorted(right)))
    return 'corrected'


def _end_task(scope, finding):
    if not stuck.is_stuck(scope, finding.place):
        return _BUSY
    tasks.fail(
        finding.place, 'ended by glance-copy audit: nothing worked on it',
    )
    failing.unlock(finding.image_id, finding.place)
    image = scope.image(finding.image_id)
    if image is not None and not scope.is_busy(image):
        history.set_stores(finding.image_id, image_record.IMPORTING, '')
    return 'ended as failed, unlocked the image'


_REPAIRS = {
    findings.UNRECORDED: _remove_object,
    findings.UNFINISHED: _remove_object,
    findings.STAGED: _remove_staged,
    findings.JOURNALLED: _remove_entry,
    findings.LOCKED: _unlock,
    findings.PROPERTY: _correct_property,
    findings.STUCK: _end_task,
}
