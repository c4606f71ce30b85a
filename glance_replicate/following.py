# SPDX-License-Identifier: Apache-2.0

"""Following copies that an Image service makes between its own stores."""

import dataclasses

from glance_copy_plugin.transfer import progress
from glance_replicate import errors

LOCK = 'os_glance_import_task'
ENDED = ('success', 'failure')
_LOOK = 0.5
_LOOKS_PER_TASK = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """One look at a copy.

    :param task: the task as the API has it, or None
    :param record: the image as the API has it, or None if it is gone
    :param ended: nothing more will happen
    """

    task: dict | None
    record: dict | None
    ended: bool

    @property
    def message(self):
        return (self.task or {}).get('message') or ''

    @property
    def numbers(self):
        """What the message says in numbers, or None."""
        return progress.parse(self.message)


def looks(service, image_id, cancel, interval=_LOOK):
    """Yield a :class:`Seen` again and again until the copy has ended.

    Asking for tasks costs the service a write: it is asked now and then.
    """
    number = 0
    task = None
    while True:
        record = service.image(image_id)
        held = (record or {}).get(LOCK)
        if held is None or number % _LOOKS_PER_TASK == 0:
            task = _task(service, image_id, held)
        ended = held is None or (task or {}).get('status') in ENDED
        yield Seen(task=task, record=record, ended=ended)
        if ended:
            return
        number += 1
        cancel.wait(interval)


def follow(service, image_id, cancel, on_look, interval=_LOOK):
    """Wait for the end of a copy; return the last :class:`Seen`."""
    for seen in looks(service, image_id, cancel, interval):
        on_look(seen)
    return seen


def missing(seen, stores):
    """Return which of some stores the image is not in."""
    has = ((seen.record or {}).get('stores') or '').split(',')
    return [store for store in stores if store not in has]


def _task(service, image_id, held):
    """Return the task that holds the image, else the newest; or None."""
    try:
        tasks = service.tasks(image_id)
    except errors.Refused:
        return None
    for task in tasks:
        if task['id'] == held:
            return task
    return tasks[-1] if tasks and held is None else None
