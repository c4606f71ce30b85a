# SPDX-License-Identifier: Apache-2.0

"""Copy tasks as the records know them, whoever runs them."""

from glance.common import exception
import glance.context
import glance.db
from glance.db.sqlalchemy import models
import glance.gateway
from oslo_utils import timeutils

from glance_copy_plugin.records.retry import retried

LIVE = ('pending', 'processing')
TYPE = 'api_image_import'
_ATTEMPTS = 'interrupted_attempts'


def is_copy(task):
    """True if a task of Glance, as its database gives it, is a copy."""
    request = (task.get('input') or {}).get('import_req') or {}
    return (
        task['type'] == TYPE
        and (request.get('method') or {}).get('name') == 'copy-image'
    )


@retried
def newest_copy(image_id, request_id=None):
    """Return an image's newest copy task, or None.

    :param request_id: only of those that this request made
    """
    found = [
        task for task in glance.db.get_api().tasks_get_by_image(
            glance.context.get_admin_context(), image_id
        )
        if is_copy(task) and request_id in (None, task['request_id'])
    ]
    return max(found, key=lambda task: task['created_at'], default=None)


@retried
def live_copies(but=frozenset()):
    """Return the copy tasks that have not ended.

    :param but: ids of tasks that are not asked for
    """
    db = glance.db.get_api()
    admin = glance.context.get_admin_context()
    found = []
    for status in LIVE:
        for task in db.task_get_all(
            admin, filters={
                'type': TYPE, 'status': status, 'deleted': False,
            },
        ):
            if task['id'] in but:
                continue
            try:
                # The list comes without what was asked for.
                found.append(db.task_get(admin, task['id']))
            except exception.NotFound:
                continue
    return [task for task in found if is_copy(task)]


@retried
def by_id(task_id):
    """Return a task as Glance's database gives it, or None."""
    try:
        return glance.db.get_api().task_get(
            glance.context.get_admin_context(), task_id
        )
    except exception.NotFound:
        return None


def status(task_id):
    """Return the status of a task, or None if there is no such task."""
    task = by_id(task_id)
    return task and task['status']


def context_of(task):
    """Return a context with admin rights for who asked for a task."""
    return glance.context.RequestContext(
        user_id=task['user_id'], project_id=task['owner'], roles=['admin'],
        is_admin=True, request_id=task['request_id'],
    )


def attempts(task):
    """Return how often workers have begun a copy and not ended it."""
    result = task.get('result')
    return int(result.get(_ATTEMPTS, 0)) if isinstance(result, dict) else 0


def is_for_workers(task):
    """True if a copy was given to workers; no process copies it by itself."""
    result = task.get('result')
    return isinstance(result, dict) and _ATTEMPTS in result


@retried
def set_attempts(task_id, count):
    """Write that number to the task of a copy that has not ended.

    The first time, that is what gives the copy to workers.
    """
    glance.db.get_api().task_update(
        glance.context.get_admin_context(), task_id,
        {'result': {_ATTEMPTS: count}},
    )


@retried
def say_waiting(task_id, message):
    """Set the message of a task that has not ended, and show that it lives."""
    with glance.db.get_api().session_for_write() as session:
        # The row stays ours until the end: nobody ends the task meanwhile.
        if session.query(models.Task).filter_by(id=task_id).filter(
            models.Task.status.in_(LIVE)
        ).update(
            {'updated_at': timeutils.utcnow()}, synchronize_session=False
        ):
            session.query(models.TaskInfo).filter_by(task_id=task_id).update(
                {'message': message}, synchronize_session=False
            )


def fail(task_id, reason):
    """End a task that nobody works on."""
    admin = glance.context.get_admin_context()
    repo = glance.gateway.Gateway().get_task_repo(admin)
    TaskRecord(
        repo, glance.db.get_api(), admin, task_id
    ).fail(reason)


_ENDED = ('success', 'failure')


class TaskRecord:
    """One task.

    :param task_repo: Glance's repository of tasks, as the flow got it
    :param db: Glance's database API
    :param context: a request context with admin rights
    """

    def __init__(self, task_repo, db, context, task_id):
        self._repo = task_repo
        self._db = db
        self._context = context
        self.task_id = task_id

    def running(self):
        """True unless the task has ended or is gone; in one try."""
        try:
            task = self._db.task_get(self._context, self.task_id)
        except exception.NotFound:
            return False
        return task['status'] not in _ENDED

    def say(self, message):
        """Set the task's message, which also keeps the image's lock fresh.

        In one try: the next message is never far.
        """
        self._db.task_update(
            self._context, self.task_id, {'message': message}
        )

    @retried
    def begin(self):
        """Say that the task is being processed, if nobody has said so."""
        task = self._repo.get(self.task_id)
        if task.status == 'pending':
            task.begin_processing()
            self._repo.save(task)

    @retried
    def succeed(self, image_id, message):
        """End the task well."""
        task = self._begun()
        if task is not None:
            task.succeed({'image_id': image_id})
            task.message = message
            self._repo.save(task)

    @retried
    def fail(self, reason):
        """End the task with the reason why."""
        task = self._begun()
        if task is not None:
            task.fail(reason)
            self._repo.save(task)

    def _begun(self):
        """Return the task, if it can still be ended."""
        try:
            task = self._repo.get(self.task_id)
        except exception.NotFound:
            return None
        if task.status in _ENDED:
            return None
        if task.status == 'pending':
            task.begin_processing()
        return task
