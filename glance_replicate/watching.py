# SPDX-License-Identifier: Apache-2.0

"""Showing one copy inside a cloud: a bar for each store, or lines."""

import sys

import rich.console
import rich.progress

from glance_replicate import errors
from glance_replicate import following
from glance_replicate import text


class WatchLines:
    """Writes the message of the task whenever it changes."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stderr
        self._last = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def show(self, seen):
        """Take one look at the copy."""
        if seen.message and seen.message != self._last:
            self._last = seen.message
            print(text.safe(seen.message), file=self._stream, flush=True)


class WatchBars:
    """Draws a bar for each store, and for reading or staging."""

    def __init__(self, console):
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn('{task.description}', markup=False),
            rich.progress.BarColumn(),
            rich.progress.TextColumn('{task.percentage:.0f} %'),
            rich.progress.TextColumn('{task.fields[state]}', markup=False),
            console=console,
        )
        self._rows = {}
        self._stores = set()

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()

    def show(self, seen):
        """Take one look at the copy."""
        numbers = seen.numbers
        if seen.ended:
            self._end(seen)
        elif numbers is None:
            self._row('copy', None, text.safe(seen.message))
        else:
            self._advance(numbers)

    def _advance(self, numbers):
        rate = f'{text.size(numbers["rate"] or 0)}/s'
        left = text.seconds(numbers['seconds_left'])
        self._row('copy', numbers['percent'], f'{rate}, {left} left')
        for name in ('read', 'staged'):
            if numbers[name] is not None and numbers['size']:
                share = 100 * numbers[name] // numbers['size']
                self._row('image', share, name)
        for name, store in numbers['stores'].items():
            share = 100 if store['state'] == 'done' else store['percent']
            self._stores.add(name)
            self._row(_label(name), share, store['state'])

    def _end(self, seen):
        """Show what became of it: full bars, or where they stopped."""
        done = (seen.task or {}).get('status') == 'success'
        self._row('copy', 100 if done else None, text.safe(seen.message))
        if done and 'image' in self._rows:
            self._row('image', 100, '')
        missing = () if done else following.missing(seen, self._stores)
        for name in self._stores:
            state = 'failed' if name in missing else 'done'
            self._row(_label(name), None if state == 'failed' else 100, state)

    def _row(self, name, percent, state):
        if name not in self._rows:
            self._rows[name] = self._bars.add_task(name, total=100, state='')
        told = {} if percent is None else {'completed': percent}
        self._bars.update(self._rows[name], state=state, **told)


def _label(store):
    return f'store {text.safe(store)}'


def suitable():
    """Return what suits standard error."""
    console = rich.console.Console(stderr=True)
    return WatchBars(console) if console.is_terminal else WatchLines()


def watch(service, image_id, cancel, shown):
    """Follow the copy of an image to its end; return the last look.

    :param shown: :class:`WatchLines` or :class:`WatchBars`
    :raises: :class:`ReplicatorError` if there is no copy to be seen
    """
    if service.image(image_id) is None:
        raise errors.ReplicatorError(
            f'There is no image {text.safe(image_id)} on {service.name}'
        )
    with shown:
        seen = following.follow(service, image_id, cancel, shown.show)
    if seen.task is None:
        raise errors.ReplicatorError(
            f'No copy of the image {image_id} can be seen on {service.name}'
        )
    return seen
