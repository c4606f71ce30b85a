# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What Glance calls for every import: our flow, or its own."""

from glance import housekeeping
from glance.async_.flows import api_image_import
from glance.common import exception
from oslo_config import cfg
from oslo_log import log as logging
from taskflow.patterns import linear_flow
from taskflow.patterns import unordered_flow

from glance_copy_plugin import opts
from glance_copy_plugin.flow import failing
from glance_copy_plugin.flow import run as run_
from glance_copy_plugin.flow import tasks
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import limits

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

_COPY_SLOTS = None


def get_flow(**kwargs):
    """Return the flow for an import task, as Glance's executor asks for it.

    Any method but ``copy-image`` is Glance's own business.

    :raises: ImportTaskError with the reason if a copy cannot even begin
    """
    if kwargs['import_req']['method']['name'] != 'copy-image':
        return api_image_import.get_flow(**kwargs)
    try:
        return make_flow(_make_run(kwargs))
    except Exception as exc:
        LOG.exception('The flow of a copy could not be made')
        failing.unlock(kwargs['image_id'], kwargs['task_id'])
        # Glance ends the task with this text.
        raise exception.ImportTaskError(
            errors.redact(f'{type(exc).__name__}: {exc}')
        ) from exc


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


def _make_run(kwargs):
    options = opts.copy_options(CONF, housekeeping.staging_store_path())
    return run_.CopyRun(
        context=kwargs['context'],
        task_repo=kwargs['task_repo'],
        image_id=kwargs['image_id'],
        task_id=kwargs['task_id'],
        stores=kwargs['backend'],
        all_must_succeed=kwargs['import_req'].get(
            'all_stores_must_succeed', True
        ),
        options=options,
        copy_slots=_copy_slots(),
    )


def _copy_slots():
    """One set of places for the whole process."""
    global _COPY_SLOTS
    if _COPY_SLOTS is None:
        _COPY_SLOTS = limits.Slots(CONF[opts.GROUP].max_concurrent_copies)
    return _COPY_SLOTS
