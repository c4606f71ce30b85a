# SPDX-License-Identifier: Apache-2.0

"""Making a copy, and the TaskFlow graph that runs it."""

from glance import housekeeping
from oslo_config import cfg
from taskflow.patterns import linear_flow
from taskflow.patterns import unordered_flow

from glance_copy_plugin.flow import run as run_
from glance_copy_plugin.flow import tasks
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.transfer import limits

CONF = cfg.CONF

_COPY_SLOTS = None


def make_flow(run):
    """Return the TaskFlow graph of one copy.

    ::

        begin -> plan -> [ stage -> import to s1 || s2 || ... ]
              -> conclude -> complete

    With a staging window the bracket repeats for each group of stores that
    can be written at the same time: every reader of a window must be running.
    """
    flow = linear_flow.Flow(f'copy-image-{run.task_id}')
    flow.add(tasks.BeginCopy(run), tasks.PlanCopy(run))
    outcomes = {store: f'outcome-{store}' for store in run.stores}
    for group in _groups(run):
        imports = unordered_flow.Flow(f'import-{group[0]}-{run.task_id}')
        for store in group:
            imports.add(tasks.ImportToStore(run, store, outcomes[store]))
        flow.add(tasks.StageImage(run, group), imports)
    names = list(outcomes.values())
    flow.add(
        tasks.ConcludeCopy(run, requires=names),
        tasks.CompleteCopy(run, requires=names),
    )
    return flow


def _groups(run):
    size = len(run.stores)
    if run.options.staging_window is not None:
        size = run.options.parallel_stores
    return [
        run.stores[first:first + size]
        for first in range(0, len(run.stores), size)
    ]


def make_run(
    *, context, task_repo, image_id, task_id, stores, import_req, entry,
    resumed=False,
):
    """Return the :class:`CopyRun` of a task, as the configuration says.

    :param stores: names of the stores to copy into
    :param import_req: the request's body, as the task keeps it
    :param entry: the copy's journal :class:`Entry`
    :param resumed: another process has begun this copy
    """
    return run_.CopyRun(
        context=context,
        task_repo=task_repo,
        image_id=image_id,
        task_id=task_id,
        stores=stores,
        all_must_succeed=import_req.get('all_stores_must_succeed', True),
        options=copy_image.copy_options(
            CONF, housekeeping.staging_store_path()
        ),
        copy_slots=_copy_slots(),
        entry=entry,
        resumed=resumed,
    )


def _copy_slots():
    """One set of places for the whole process."""
    global _COPY_SLOTS
    if _COPY_SLOTS is None:
        group = CONF[copy_image.GROUP]
        _COPY_SLOTS = limits.Slots(group.max_concurrent_copies)
    return _COPY_SLOTS
