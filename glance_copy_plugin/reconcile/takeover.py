# SPDX-License-Identifier: Apache-2.0

"""Finishing a copy whose process is gone, or taking it back."""

from concurrent import futures
import shutil

import glance.context
import glance.gateway
from oslo_config import cfg
from oslo_log import log as logging
from taskflow import engines

from glance_copy_plugin.flow import abort
from glance_copy_plugin.flow import graph
from glance_copy_plugin.flow import importing
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import space

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# A copy that ends its process each time must not do so for ever.
_MOST_ATTEMPTS = 3


def resume(entry):
    """Bring the copy of a journal entry to its end.

    Stores that are recorded are kept, partial objects replaced, the rest is
    copied. If that is impossible, everything is taken back.

    :param entry: :class:`Entry`, locked by this process
    """
    LOG.warning('Taking over the interrupted copy of image %s', entry.image_id)
    carry_on(
        entry, tasks.newest_copy(entry.image_id, entry.request_id),
        taken_over=True,
    )


def carry_on(entry, task, taken_over=False):
    """Bring a copy to its end, however far others have come with it.

    :param entry: :class:`Entry` or :class:`Claim`, this process's own
    :param task: as Glance's database gives it; None if there is none
    :param taken_over: another process is known to have had it
    """
    if task is None:
        drop_stray_lock(entry.image_id)
        entry.remove()
        return
    run = _make_run(entry, task)
    shutil.rmtree(run.staging_folder, ignore_errors=True)
    space.StagingSpace(run.options.staging_dir).forget_dead()
    run.record.wait_for_others()
    if not run.task.running():
        _tidy_up(run)
        return
    LOG.info(
        'Carrying on with the copy of image %(image)s into %(stores)s, '
        'interrupted %(times)d times before',
        {
            'image': entry.image_id, 'stores': ', '.join(run.stores),
            'times': entry.attempts,
        },
    )
    if _end_what_was_ending(run):
        entry.remove()
        return
    if not run.enter():
        return
    run.progress.taken_over = bool(
        taken_over or entry.attempts or task['message'] == progress.SUSPENDED
    )
    if entry.attempts:
        instrumentation.observer().taken_over()
    entry.attempts += 1
    entry.save()
    if entry.attempts > _MOST_ATTEMPTS:
        run.cancel.cancel(
            errors.CopyError('it was interrupted again and again')
        )
    run.task.begin()
    _execute(run)


def _execute(run):
    executor = CONF.taskflow_executor
    # The threads that TaskFlow makes take a second to end: longer than a
    # small copy.
    with futures.ThreadPoolExecutor(executor.max_workers) as threads:
        engine = engines.load(
            graph.make_flow(run), engine=executor.engine_mode,
            executor=threads,
        )
        try:
            engine.run()
        except Exception as exc:
            # The flow has ended its task with the reason.
            LOG.info(
                'The copy that was taken over failed: %s', errors.redact(exc)
            )


def context_of(task):
    """Return a context with admin rights for who asked for a task."""
    return glance.context.RequestContext(
        user_id=task['user_id'], project_id=task['owner'], roles=['admin'],
        is_admin=True, request_id=task['request_id'],
    )


def _make_run(entry, task):
    context = context_of(task)
    task_input = task['input']
    return graph.make_run(
        context=context,
        task_repo=glance.gateway.Gateway().get_task_repo(context),
        image_id=entry.image_id,
        task_id=task['id'],
        stores=task_input['backend'],
        import_req=task_input['import_req'],
        entry=entry,
        resumed=True,
    )


def _tidy_up(run):
    """Take back what a copy has begun whose task has ended.

    If the copy itself has ended it, that is only what a request has left
    that hung in a store until the process died. Others do not know what is
    to be taken back, such as Glance's executor when it cannot run a flow.
    """
    lock = _lock(run)
    if lock == run.task_id:
        if run.enter():
            run.cancel.cancel(
                errors.Cancelled('its task was ended meanwhile')
            )
            _execute(run)
        return
    if lock is None:
        for store in run.stores:
            importing.StoreImport(run, store).remove_unrecorded()
    run.entry.remove()


def _lock(run):
    """Return the id of the task that the image is locked for, or None."""
    try:
        return run.record.facts().lock
    except image_record.ImageGone:
        return None


def _end_what_was_ending(run):
    """End the task of a copy that was unlocked: all else has been done."""
    try:
        facts = run.record.facts()
    except image_record.ImageGone:
        return False
    if facts.lock is not None:
        return False
    recorded = {location.store for location in facts.locations}
    done = [store for store in run.stores if store in recorded]
    missing = [store for store in run.stores if store not in recorded]
    if not missing or (
        done and not run.all_must_succeed and facts.failed.issuperset(missing)
    ):
        text = 'copied to ' + ', '.join(done)
        if missing:
            text += '; failed: ' + ', '.join(missing)
        run.task.succeed(run.image_id, text)
    else:
        run.task.fail(
            'it failed, and was interrupted before it could say why; stores '
            f'that failed: {", ".join(sorted(facts.failed)) or "none"}'
        )
    return True


def drop_stray_lock(image_id):
    """Undo a lock that was taken for a task that was never written."""
    holder = history.lock_without_task(image_id)
    if holder is not None:
        LOG.warning(
            'Image %s is locked for a task that does not exist; unlocking',
            image_id,
        )
        abort.unlock(image_id, holder)
