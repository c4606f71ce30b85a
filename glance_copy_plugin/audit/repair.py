# SPDX-License-Identifier: Apache-2.0

"""Repairing what an audit has found, where that is safe."""

import os
import shutil

from glance_copy_plugin.audit import correcting
from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import leftovers
from glance_copy_plugin.audit import records
from glance_copy_plugin.audit import replacing
from glance_copy_plugin.audit import stuck
from glance_copy_plugin.audit import words
from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import abort
from glance_copy_plugin.reconcile import takeover
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
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
        and image is not None
        and scope.is_busy(image)
    ):
        return words.BUSY
    try:
        return _REPAIRS[finding.kind](scope, finding)
    except FileNotFoundError:
        return 'gone already'
    except Exception as exc:
        return f'not repaired: {words.describe(exc)}'


def _unless_last(is_it, remove):
    """Remove data of an image only if other data of it is right.

    :param is_it: ``is_it(finding, url)`` tells whether a URL means that data
    :param remove: ``remove(scope, finding)``
    """
    def safely(scope, finding):
        image = scope.image(finding.image_id) if finding.image_id else None
        if image is not None:
            if any(is_it(finding, each['url']) for each in image.locations):
                return 'left alone: a location names it by now'
            unsafe = scope.not_safe_elsewhere(
                image, lambda url: is_it(finding, url)
            )
            if unsafe:
                return (
                    'left alone: it may be the last data of the image: '
                    f'{unsafe}. Bring other data of the image in order first'
                )
        return remove(scope, finding)

    return safely


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
    entry = scope.journal.take(finding.image_id)
    if entry is None:
        return _HELD
    try:
        if not leftovers.is_stale_entry(scope, finding.image_id):
            return words.BUSY
        entry.remove()
    finally:
        entry.release()
    return 'removed'


def _unlock(scope, finding):
    if history.lock_without_live_task(finding.image_id) != finding.place:
        return 'left alone: a task works on the image now'
    abort.unlock(finding.image_id, finding.place)
    return 'unlocked'


def _correct_property(scope, finding):
    image, name = scope.image(finding.image_id), finding.place
    if image is None:
        return words.GONE
    named = image_record.split(image.extra_properties.get(name))
    right = named.difference(records.stale_stores(image, name))
    history.set_stores(image.image_id, name, ','.join(sorted(right)))
    return 'corrected'


def _end_task(scope, finding):
    if not stuck.is_stuck(scope, finding.place):
        return words.BUSY
    tasks.fail(
        finding.place, 'ended by glance-copy audit: nothing worked on it',
    )
    abort.unlock(finding.image_id, finding.place)
    image = scope.image(finding.image_id)
    if image is not None and not scope.is_busy(image):
        history.set_stores(finding.image_id, image_record.IMPORTING, '')
    return 'ended as failed, unlocked the image'


def _carry_on(scope, finding):
    still = leftovers.is_interrupted(scope, finding.image_id)
    entry = scope.journal.take(finding.image_id) if still else None
    if entry is None:
        return words.BUSY
    try:
        takeover.resume(entry)
    finally:
        entry.release()
    task = tasks.newest_copy(finding.image_id)
    return f'carried on: {task["status"]}, {task["message"]}'


_REPAIRS = {
    findings.UNRECORDED: _unless_last(_is_object, _remove_object),
    findings.UNFINISHED: _unless_last(_is_object, _remove_object),
    findings.STAGED: _unless_last(_is_file, _remove_staged),
    findings.JOURNALLED: _remove_entry,
    findings.LOCKED: _unlock,
    findings.PROPERTY: _correct_property,
    findings.STUCK: _end_task,
    findings.INTERRUPTED: _carry_on,
    findings.MISSING: replacing.replace,
    findings.SIZE: replacing.replace,
    findings.HASH: replacing.replace,
    findings.MOVED: correcting.correct,
}
