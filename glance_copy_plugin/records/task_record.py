# SPDX-License-Identifier: Apache-2.0

"""The record of the task that a copy runs as."""

from glance.common import exception

from glance_copy_plugin.records.retry import retried

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
