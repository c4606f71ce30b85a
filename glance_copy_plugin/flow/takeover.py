# SPDX-License-Identifier: Apache-2.0

"""Finishing a copy whose process is gone, or taking it back."""

from concurrent import futures
import shutil

import glance.gateway
from oslo_config import cfg
from oslo_log import log as logging
from taskflow import engines

from glance_copy_plugin.flow import graph
from glance_copy_plugin.flow import importing
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import locks
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import space

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# A copy that ends its process each time must not do so for ever.
_MOST_ATTEMPTS = 3


def resume(lease):
    """Bring the copy of a lease of the journal to its end.

    Stores that are recorded are kept, partial objects replaced, the rest is
    copied. If that is impossible, everything is taken back.

    :param lease: :class:`FileLease` of this process
    """
    LOG.warning('Taking over the interrupted copy of image %s', lease.image_id)
    carry_on(
        lease, tasks.newest_copy(lease.image_id, lease.request_id),
        taken_over=True,
    )


def carry_on(lease, task, taken_over=False):
    """Bring a copy to its end, however far others have come with it.

    :param lease: :class:`Lease` of this process
    :param task: as Glance's database gives it; None if there is none
    :param taken_over: another process is known to have had it
    """
    if task is None:
        locks.drop_stray_lock(lease.image_id)
        lease.remove()
        return
    run = _make_run(lease, task)
    shutil.rmtree(run.copy.staging_folder, ignore_errors=True)
    space.StagingSpace(run.copy.options.staging_dir).forget_dead()
    run.record.wait_for_others()
    if not run.task.running():
        _tidy_up(run)
        return
    LOG.info(
        'Carrying on with the copy of image %(image)s into %(stores)s, '
        'interrupted %(times)d times before',
        {
            'image': lease.image_id, 'stores': ', '.join(run.copy.stores),
            'times': lease.attempts,
        },
    )
    if _end_what_was_ending(run):
        lease.remove()
        return
    if not run.enter():
        return
    run.progress.taken_over = bool(
        taken_over or lease.attempts or task['message'] == progress.SUSPENDED
    )
    if lease.attempts:
        instrumentation.observer().taken_over()
    lease.attempts += 1
    lease.save()
    if lease.attempts > _MOST_ATTEMPTS:
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


def _make_run(lease, task):
    context = tasks.context_of(task)
    task_input = task['input']
    return graph.make_run(
        context=context,
        task_repo=glance.gateway.Gateway().get_task_repo(context),
        image_id=lease.image_id,
        task_id=task['id'],
        stores=task_input['backend'],
        import_req=task_input['import_req'],
        lease=lease,
        resumed=True,
    )


def _tidy_up(run):
    """Take back what a copy has begun whose task has ended.

    If the copy itself has ended it, that is only what a request has left
    that hung in a store until the process died. Others do not know what is
    to be taken back, such as Glance's executor when it cannot run a flow.
    """
    lock = _lock(run)
    if lock == run.copy.task_id:
        if run.enter():
            run.cancel.cancel(
                errors.Cancelled('its task was ended meanwhile')
            )
            _execute(run)
        return
    if lock is None:
        for store in run.copy.stores:
            importing.StoreImport(run, store).remove_unrecorded()
    run.lease.remove()


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
    done = [store for store in run.copy.stores if store in recorded]
    missing = [store for store in run.copy.stores if store not in recorded]
    if not missing or (
        done and not run.copy.all_must_succeed
        and facts.failed.issuperset(missing)
    ):
        text = 'copied to ' + ', '.join(done)
        if missing:
            text += '; failed: ' + ', '.join(missing)
        run.task.succeed(run.copy.image_id, text)
    else:
        run.task.fail(
            'it failed, and was interrupted before it could say why; stores '
            f'that failed: {", ".join(sorted(facts.failed)) or "none"}'
        )
    return True
