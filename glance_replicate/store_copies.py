# SPDX-License-Identifier: Apache-2.0

"""Copies that an Image service makes between its own stores."""

import dataclasses

from glance_copy_plugin.transfer import progress
from glance_replicate import display as displays
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import results
from glance_replicate import selecting
from glance_replicate import text

LOCK = 'os_glance_import_task'
ENDED = ('success', 'failure')
ORDERS = {
    'smallest': lambda image: (image.size or 0, image.id),
    'newest': lambda image: tuple(-ord(c) for c in image.created_at),
    'oldest': lambda image: (image.created_at, image.id),
}
_INTERVAL = 0.5  # seconds between two looks
_LOOKS_PER_TASK = 4
_TURNS = 5


def checked_stores(service, stores):
    """Return the names of some stores of a service, each once, as a tuple.

    :raises: :class:`ReplicatorError` if one does not exist or is read-only
    """
    if not stores:
        return ()
    known = service.stores()
    if known is None:
        raise errors.ReplicatorError(f'{service.name} has only one store')
    for name in stores:
        if name not in known:
            raise errors.ReplicatorError(
                f'{service.name} has no store {text.safe(name)} that can be '
                f'written; it has {text.safe(", ".join(known))}'
            )
    return tuple(dict.fromkeys(stores))


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
        """The progress that the message tells, as numbers; or None."""
        return progress.parse(self.message)

    def missing(self, stores):
        """Return which of some stores the image is not in."""
        has = ((self.record or {}).get('stores') or '').split(',')
        return [store for store in stores if store not in has]


def looks(service, image_id, interval=_INTERVAL):
    """Yield a :class:`Seen` again and again until the copy has ended.

    :param interval: seconds between two looks
    """
    number = 0
    task = None
    while True:
        record = service.image(image_id)
        held = (record or {}).get(LOCK)
        # Listing tasks costs the service a write.
        if held is None or number % _LOOKS_PER_TASK == 0:
            task = _task(service, image_id, held)
        ended = held is None or (task or {}).get('status') in ENDED
        yield Seen(task=task, record=record, ended=ended)
        if ended:
            return
        number += 1
        service.retries.cancel.wait(interval)


def follow(service, image_id, on_look=lambda seen: None, interval=_INTERVAL):
    """Wait for the end of a copy; return the last :class:`Seen`.

    :param on_look: called with each :class:`Seen`
    """
    for seen in looks(service, image_id, interval):
        on_look(seen)
    return seen


def watch(service, image_id, shown):
    """Show the copy of an image to its end; return the last :class:`Seen`.

    :param shown: :class:`WatchLines` or :class:`WatchBars`
    :raises: :class:`ReplicatorError` if there is no copy to be seen
    """
    selecting.one(service, image_id)
    with shown:
        seen = follow(service, image_id, shown.show)
    if seen.task is None:
        raise errors.ReplicatorError(
            f'{service.name} shows no copy of the image {image_id}'
        )
    return seen


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filler:
    """Requests copies into some stores, and follows each to its end.

    :param service: :class:`ImageService`
    :param stores: names of the stores that images are to be in
    :param display: :class:`Display`
    :param dry_run: request nothing
    :param wait: follow copies; if False, only request them
    """

    service: object
    stores: tuple
    display: object = dataclasses.field(default_factory=displays.Display)
    dry_run: bool = False
    wait: bool = True

    def fill(self, image):
        """Bring one :class:`Image` into the stores; return the result.

        A copy that somebody else has requested is waited for first.

        :raises: :class:`ReplicatorError` if it does not get there
        """
        moved, size = 0, image.size or 0
        for _turn in range(_TURNS):
            record = self.service.image(image.id)
            if record is None or record['status'] != 'active':
                status = 'gone' if record is None else record['status']
                return results.of(
                    results.VANISHED, image, detail=f'it is {status}'
                )
            missing = records.of_api(record).lacks(self.stores)
            if not missing:
                what = results.COPIED if moved else results.SAME
                return results.of(what, image, moved)
            names = ', '.join(missing)
            if self.dry_run:
                return results.of(
                    results.WOULD_COPY, image, size * len(missing),
                    f'to {names}',
                )
            is_ours = self._request(image, missing)
            if is_ours and not self.wait:
                return results.of(results.ASKED, image, detail=f'to {names}')
            seen = self._follow(image, missing)
            if is_ours:
                moved = size * len(missing)
                self._check(seen, missing)
        raise errors.ReplicatorError(
            'other copies of this image keep it locked; try again later'
        )

    def _request(self, image, stores):
        """Request a copy; return False if another one is running."""
        try:
            self.service.copy(image.id, stores)
        except errors.Refused as exc:
            if exc.status != 409:
                raise errors.Refused(
                    f'not copied to {", ".join(stores)}: {exc}', exc.status
                ) from None
            return False
        return True

    def _follow(self, image, stores):
        size = image.size or 0
        self.display.begin(image.id, image.name, size * len(stores))
        done = 0

        def show(seen):
            nonlocal done
            now = _bytes(seen, stores, size)
            if now > done:
                self.display.advance(image.id, now - done)
                done = now

        return follow(self.service, image.id, show)

    @staticmethod
    def _check(seen, stores):
        """Raise if the image is there, but not in all of the stores."""
        if seen.record and seen.missing(stores):
            raise errors.ReplicatorError(
                f'not copied to {", ".join(seen.missing(stores))}: '
                f'{text.safe(seen.message) or "Glance gives no reason"}'
            )


def _bytes(seen, stores, size):
    """Return how many bytes have reached the stores so far."""
    told = (seen.numbers or {}).get('stores', {})
    missing = seen.missing(stores)
    return sum(
        (told.get(name, {}).get('bytes') or 0) if name in missing else size
        for name in stores
    )
