# SPDX-License-Identifier: Apache-2.0

"""What Glance calls for every import: our flow, or its own."""

from glance.async_.flows import api_image_import
from glance.common import exception
from oslo_log import log as logging
from taskflow import task
from taskflow.patterns import linear_flow

from glance_copy_plugin.flow import graph
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import posting
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.records import locks
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class Stopping(BaseException):
    """This process is being stopped before it began the copy.

    Glance would end the task because of any exception of a usual kind; this
    one ends nothing but the work item of Glance's thread pool.
    """


def get_flow(**kwargs):
    """Return the flow for an import task, as Glance's executor asks for it.

    Any method but ``copy-image`` is Glance's own business.

    :raises: ImportTaskError with the reason if a copy cannot even begin
    :raises: Stopping if it is left to the next process
    """
    if kwargs['import_req']['method']['name'] != 'copy-image':
        return api_image_import.get_flow(**kwargs)
    try:
        return _copy_flow(kwargs)
    except Exception as exc:
        LOG.exception('Cannot make the flow of a copy')
        locks.unlock(kwargs['image_id'], kwargs['task_id'])
        lease = service_process.journal().mine(kwargs['image_id'])
        if lease is not None:
            lease.remove()
        # Glance ends the task with this text.
        raise exception.ImportTaskError(
            errors.redact(f'{type(exc).__name__}: {exc}')
        ) from exc


def _no_flow(task_id):
    """Return a flow for a copy that others make."""
    # Not an empty one: stevedore takes that for none at all.
    return linear_flow.Flow(f'copy-image-{task_id}').add(
        task.FunctorTask(lambda: None, name='copied-elsewhere')
    )


def _copy_flow(kwargs):
    image_id = kwargs['image_id']
    journal = service_process.journal()
    # Where requests do not pass the filter, the copy is not in it yet.
    lease = journal.mine(image_id) or journal.claim(
        image_id, kwargs['context'].request_id
    )
    if lease is None or not lease.begin():
        LOG.info('The copy of image %s was taken over meanwhile', image_id)
        return _no_flow(kwargs['task_id'])
    if board_client.is_enabled():
        posting.of_process().post(lease, kwargs['task_id'])
        return _no_flow(kwargs['task_id'])
    run = graph.make_run(
        context=kwargs['context'],
        task_repo=kwargs['task_repo'],
        image_id=image_id,
        task_id=kwargs['task_id'],
        stores=kwargs['backend'],
        import_req=kwargs['import_req'],
        lease=lease,
    )
    if not run.enter():
        LOG.info('The copy of image %s is left to the next process', image_id)
        lease.release()
        raise Stopping
    return graph.make_flow(run)
