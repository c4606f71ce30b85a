# SPDX-License-Identifier: Apache-2.0

"""Show a copy's progress: bars on a terminal, else a line now and then."""

import rich.console

from glance_replicate import display as displays
from glance_replicate import store_copies


class Lines:
    """Prints the message of the task when it changes."""

    def __init__(self, interval=1.0, patience=3.0):
        self._interval = interval
        self._patience = patience
        self._message = None
        self._next = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def show(self, seconds, message):
        """Take one look at the task; ``seconds`` have passed."""
        if not message:
            if seconds < self._patience:
                return
            message = 'Glance does not say how far it is'
        if message != self._message and seconds >= self._next:
            print(f'  {seconds:6.1f} s  {message}', flush=True)
            self._message = message
            self._next = seconds + self._interval


class Bars(displays.WatchBars):
    """Draws a bar for each store and for staging."""

    def show(self, seconds, message):
        """Take one look at the task; ``seconds`` have passed."""
        super().show(store_copies.Seen(
            task={'message': message or f'{seconds:.1f} s'}, record=None,
            ended=False,
        ))


def display():
    """Return what suits the place that this prints to."""
    console = rich.console.Console()
    return Bars(console) if console.is_terminal else Lines()
