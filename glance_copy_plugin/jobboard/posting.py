# SPDX-License-Identifier: Apache-2.0

"""How the Image service gets a copy onto the jobboard."""

import concurrent.futures

from oslo_log import log as logging
from taskflow.jobs import base

from glance_copy_plugin import process_state
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.records import image_record
from glance_copy_plugin.records import import_request
from glance_copy_plugin.records import locks
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

# So long Glance may take to come from a request to its flow.
_FLOW_TIMEOUT = 30


class Postings:
    """Tells requests whether their copies are on the jobboard.

    Glance makes a task while it answers the request, and asks for the flow of
    that task in another thread.
    """

    def __init__(self):
        self._expected = {}

    def expect(self, lease):
        """A request waits for the posting of this copy from now on.

        :param lease: the copy's :class:`FileLease`
        """
        self._expected[lease.image_id] = concurrent.futures.Future()

    def forget(self, lease):
        """The request waits no more."""
        self._expected.pop(lease.image_id, None)

    def post(self, lease, task_id):
        """Post a copy that this process has begun, and tell the request.

        If that fails, the copy has ended: no lock and no lease are left.

        :raises: :class:`~board.JobboardUnreachable`, or what the database says
        """
        try:
            post_task(tasks.by_id(task_id))
        except Exception as exc:
            try:
                _give_up(lease, task_id, exc)
            finally:
                # A request must not wait for what will never come.
                self._tell(lease, exc)
            raise
        lease.remove()
        LOG.info('The copy of image %s is on the jobboard', lease.image_id)
        self._tell(lease)

    def wait(self, lease):
        """Return when the expected copy is on the jobboard.

        :raises: whatever kept it from getting there
        """
        expected = self._expected[lease.image_id]
        try:
            expected.result(_FLOW_TIMEOUT)
        except concurrent.futures.TimeoutError:
            LOG.warning(
                'Glance has not started the task of the copy of image %s; '
                'posting the copy all the same', lease.image_id,
            )
            if lease.begin():
                task = tasks.newest_copy(lease.image_id, lease.request_id)
                self.post(lease, task and task['id'])
            else:
                expected.result()

    def _tell(self, lease, error=None):
        expected = self._expected.get(lease.image_id)
        if expected is not None and not expected.done():
            if error is None:
                expected.set_result(None)
            else:
                expected.set_exception(error)


@process_state.once
def of_process():
    """Return the :class:`Postings` of this process."""
    return Postings()


def of_task(task):
    """Return the :class:`~jobs.Details` of a task's job.

    :param task: as Glance's database gives it
    """
    context = tasks.context_of(task)
    image_id = task['input']['image_id']
    record = image_record.ImageRecord(context, image_id, task['id'])
    try:
        locations = record.facts().locations
    except image_record.ImageGone:
        locations = ()
    stores = {location.store for location in locations}
    return jobs.Details(
        image_id=image_id,
        task_id=task['id'],
        request_id=task['request_id'],
        stores=tuple(task['input']['backend']),
        # An old record may have a location without a name.
        sources=() if None in stores else tuple(sorted(stores)),
        project_id=task['owner'],
        user_id=task['user_id'],
        priority=base.JobPriority.LOW if import_request.is_low(
            task['input']['import_req']
        ) else base.JobPriority.NORMAL,
    )


def post_task(task):
    """Post the copy of a task; nothing happens if it is on the jobboard.

    Workers post it again, should the jobboard forget it, because it is marked.

    :param task: as Glance's database gives it
    :returns: False if it was there
    """
    if not tasks.is_for_workers(task):
        tasks.set_attempts(task['id'], 0)
    return board_client.of_process().post(of_task(task))


def post_again(lease):
    """Post a copy whose process is gone, unless it has done so itself.

    :param lease: :class:`FileLease` of this process
    """
    task = tasks.newest_copy(lease.image_id, lease.request_id)
    if task is None:
        locks.drop_stray_lock(lease.image_id)
    elif task['status'] in tasks.LIVE:
        if post_task(task):
            LOG.warning(
                'Posted the copy of image %s, whose process is gone',
                lease.image_id,
            )
    else:
        # Whatever it has left is for a worker to remove.
        board_client.of_process().post(of_task(task))
    lease.remove()


def post_forgotten(known):
    """Post the copies that have not ended and are not on the jobboard.

    A jobboard may lose its jobs, if it comes back without its data.

    :param known: ids of tasks whose jobs have been on the jobboard, listed
        before this is called
    """
    for task in tasks.live_copies(but=known):
        if not tasks.is_for_workers(task):
            continue
        if board_client.of_process().post(of_task(task)):
            LOG.warning(
                'Posted the copy of image %s again: the jobboard had lost it',
                task['input']['image_id'],
            )


def _give_up(lease, task_id, error):
    LOG.error(
        'Cannot post the copy of image %(image)s to the jobboard: %(why)s',
        {'image': lease.image_id, 'why': errors.redact(error)},
    )
    try:
        locks.unlock(lease.image_id, task_id)
        tasks.fail(task_id, 'the jobboard could not be reached')
    finally:
        lease.remove()
