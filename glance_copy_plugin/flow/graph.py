# SPDX-License-Identifier: Apache-2.0

"""Making a copy, and the TaskFlow graph that runs it."""

from glance import housekeeping
import glance.db
from oslo_config import cfg
from taskflow.patterns import linear_flow
from taskflow.patterns import unordered_flow

from glance_copy_plugin.flow import copy
from glance_copy_plugin.flow import copy_run
from glance_copy_plugin.flow import copy_tasks
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import running_copies
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import tasks

CONF = cfg.CONF


def make_flow(run):
    """Return the TaskFlow graph of one copy.

    ::

        begin -> plan -> [ stage -> import to s1 || s2 || ... ]
              -> conclude -> complete

    With a staging window the bracket repeats for each group of stores that
    can be written at the same time: every reader of a window must be running.
    """
    flow = linear_flow.Flow(f'copy-image-{run.copy.task_id}')
    flow.add(copy_tasks.BeginCopy(run), copy_tasks.PlanCopy(run))
    outcomes = {store: f'outcome-{store}' for store in run.copy.stores}
    for group in _groups(run):
        imports = unordered_flow.Flow(f'import-{group[0]}-{run.copy.task_id}')
        for store in group:
            imports.add(copy_tasks.ImportToStore(run, store, outcomes[store]))
        flow.add(copy_tasks.StageImage(run, group), imports)
    names = list(outcomes.values())
    flow.add(
        copy_tasks.ConcludeCopy(run, requires=names),
        copy_tasks.CompleteCopy(run, requires=names),
    )
    return flow


def _groups(run):
    size = len(run.copy.stores)
    if run.copy.options.staging_window is not None:
        size = run.copy.options.parallel_stores
    return [
        run.copy.stores[first:first + size]
        for first in range(0, len(run.copy.stores), size)
    ]


def make_run(
    *, context, task_repo, image_id, task_id, stores, import_req, lease,
    resumed=False,
):
    """Return the :class:`CopyRun` of a task, as the configuration says.

    :param context: of the request that asked for the copy
    :param task_repo: Glance's repository of tasks
    :param stores: names of the stores to copy into
    :param import_req: the request's body, as the task keeps it
    :param lease: the copy's :class:`Lease`
    :param resumed: another process has begun this copy
    """
    made = copy.Copy(
        image_id=image_id,
        task_id=task_id,
        stores=tuple(stores),
        all_must_succeed=import_req.get('all_stores_must_succeed', True),
        options=copy_image.copy_options(
            CONF, housekeeping.staging_store_path()
        ),
        user_context=context,
        context=context.elevated(),
        resumed=resumed,
    )
    return copy_run.CopyRun(
        copy=made,
        lease=lease,
        record=image_record.ImageRecord(
            made.context, image_id, task_id, lease.check
        ),
        task=tasks.TaskRecord(
            task_repo, glance.db.get_api(), made.context, task_id
        ),
        running=running_copies.of_process(),
    )
