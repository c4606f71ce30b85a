# SPDX-License-Identifier: Apache-2.0

"""Looking for copy tasks that nothing works on any more."""

from glance_copy_plugin.audit import findings
from glance_copy_plugin.records import tasks


def find(scope):
    """Yield the copy tasks that have not ended and never will.

    :param scope: :class:`Scope`
    """
    for task in tasks.live_copies():
        if _is_stuck(scope, task):
            yield findings.Finding(
                kind=findings.STUCK, image_id=task['image_id'],
                detail=f'task {task["id"]} is {task["status"]} and was last '
                f'updated at {task["updated_at"]:%Y-%m-%d %H:%M:%S}',
                place=task['id'],
            )


def is_stuck(scope, task_id):
    """True if that task is still one of them."""
    return any(
        task['id'] == task_id and _is_stuck(scope, task)
        for task in tasks.live_copies()
    )


def _is_stuck(scope, task):
    # A running copy updates its task all the time, on whatever host. One that
    # waits for a thread of Glance cannot: Glance gives it twice the time too.
    factor = 2 if task['status'] == 'pending' else 1
    return (
        not scope.in_journal(task['image_id'])
        and scope.is_old(task['updated_at'], factor)
    )
