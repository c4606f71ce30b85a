# SPDX-License-Identifier: Apache-2.0

"""Showing one copy inside a cloud: a bar for each store, or lines."""

import sys

import rich.console
import rich.progress

from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import following
from glance_copy_plugin.replicator import text


class Lines:
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


class Bars:
    """Draws a bar for each store, and for staging."""

    def __init__(self, console):
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn('{task.description}', markup=False),
            rich.progress.BarColumn(),
            rich.progress.TextColumn('{task.fields[state]}', markup=False),
            console=console,
        )
        self._rows = {}

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()

    def show(self, seen):
        """Take one look at the copy."""
        numbers = seen.numbers
        if numbers is None:
            self._row('copy', None, text.safe(seen.message))
            return
        rate = f'{text.size(numbers["rate"] or 0)}/s'
        left = text.seconds(numbers['seconds_left'])
        self._row('copy', numbers['percent'], f'{rate}, {left} left')
        if numbers['staged'] is not None and numbers['size']:
            share = 100 * numbers['staged'] // numbers['size']
            self._row('staging', share, '')
        for name, store in numbers['stores'].items():
            share = 100 if store['state'] == 'done' else store['percent']
            self._row(text.safe(name), share, store['state'])

    def _row(self, name, percent, state):
        if name not in self._rows:
            self._rows[name] = self._bars.add_task(name, total=100, state='')
        told = {} if percent is None else {'completed': percent}
        self._bars.update(self._rows[name], state=state, **told)


def suitable():
    """Return what suits standard error."""
    console = rich.console.Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines()


def watch(service, image_id, cancel, shown):
    """Follow the copy of an image to its end; return the last look.

    :param shown: :class:`Lines` or :class:`Bars`
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
