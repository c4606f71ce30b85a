# SPDX-License-Identifier: Apache-2.0

"""Looking for what nobody needs any more in the staging area."""

import datetime
import functools
import os

from oslo_utils import timeutils

from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import objects
from glance_copy_plugin.records import history
from glance_copy_plugin.records import tasks


def find(scope):
    """Yield what ended or interrupted copies have left behind.

    :param scope: :class:`Scope`
    """
    yield from _find_folders(scope)
    yield from _find_reservations(scope)
    yield from _find_uploads(scope)
    yield from _find_entries(scope)
    yield from _find_drafts(scope)


def is_stale_entry(scope, image_id):
    """True if a journal entry stands for no copy that could still run."""
    written = _time_of(os.path.join(scope.journal.folder, image_id))
    task = tasks.newest_copy(image_id)
    return (
        written is not None
        and scope.is_old(written)
        and (task is None or (
            task['status'] not in tasks.LIVE
            and scope.is_old(task['updated_at'])
        ))
    )


def is_interrupted(scope, image_id):
    """True if no process holds the entry of a copy that has not ended."""
    task = tasks.newest_copy(image_id)
    if (
        task is None or task['status'] not in tasks.LIVE
        or tasks.is_for_workers(task)
    ):
        return False
    entry = scope.journal.take(image_id)
    if entry is not None:
        entry.release()
    return entry is not None


def _find_folders(scope):
    for task_id in _names(scope.staging):
        folder = os.path.join(scope.staging, task_id)
        # Tasks have ids of the same form; the rest belongs to all copies.
        if not objects.is_image_id(task_id) or not os.path.isdir(folder):
            continue
        if history.is_live_task(task_id):
            continue
        task = tasks.by_id(task_id)
        yield findings.Finding(
            kind=findings.STAGED, detail=f'of task {task_id}', place=folder,
            image_id=task['image_id'] if task else '',
        )


def _find_reservations(scope):
    """A copy reserves space while it stages."""
    for path, folder in sorted(scope.space.reservations().items()):
        task_id = os.path.basename(folder)
        if not history.is_live_task(task_id):
            yield findings.Finding(
                kind=findings.STAGED, place=path,
                detail=f'space reserved for task {task_id}',
            )


def _find_uploads(scope):
    """Glance's own import methods stage an image under its id."""
    for name in _names(scope.uploads):
        path = os.path.join(scope.uploads, name)
        if not objects.is_image_id(name) or not os.path.isfile(path):
            continue
        image = scope.image(name)
        if image is not None and scope.is_busy(image):
            continue
        found = objects.unrecorded(
            findings.STAGED, name, path, f'file://{path}',
            functools.partial(_size_of, path),
        )
        if found is not None:
            yield found


def _find_entries(scope):
    for image_id in scope.journal.names():
        if is_stale_entry(scope, image_id):
            yield findings.Finding(
                kind=findings.JOURNALLED, image_id=image_id,
                detail='of a copy that has ended or never began',
            )
        elif is_interrupted(scope, image_id):
            yield findings.Finding(
                kind=findings.INTERRUPTED, image_id=image_id,
                detail='its process is gone, and the service did not take it '
                'over yet; without the filter it never does',
            )


def _find_drafts(scope):
    """An entry has another name until it is complete."""
    for name in _names(scope.journal.folder):
        path = os.path.join(scope.journal.folder, name)
        written = _time_of(path) if name.startswith('.') else None
        if written is not None and scope.is_old(written):
            yield findings.Finding(
                kind=findings.STAGED, detail='of the journal', place=path,
            )


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _size_of(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return None


def _time_of(path):
    """Return when a file was written, or None if there is none."""
    try:
        seconds = os.stat(path).st_mtime
    except FileNotFoundError:
        return None
    return timeutils.normalize_time(
        datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    )
