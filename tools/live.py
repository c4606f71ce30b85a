# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Show a copy's progress: bars on a terminal, else a line now and then."""

import rich.console
import rich.progress

from glance_copy_plugin.transfer import progress


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


class Bars:
    """Draws a bar for each store and for staging."""

    def __init__(self, console):
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn('  {task.description:8}'),
            rich.progress.BarColumn(),
            rich.progress.TextColumn('{task.fields[state]}'),
            console=console,
        )
        self._rows = {}

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()

    def show(self, seconds, message):
        """Take one look at the task; ``seconds`` have passed."""
        seen = progress.parse(message)
        if seen is None:
            self._row('copy', None, f'{seconds:.1f} s  {message or ""}')
            return
        rate = (seen['rate'] or 0) / 1024 / 1024
        left = seen['seconds_left']
        ahead = '' if left is None else f', {left} s left'
        self._row('copy', seen['percent'], f'{rate:.0f} MiB/s{ahead}')
        if seen['staged'] is not None and seen['size']:
            self._row('staging', 100 * seen['staged'] // seen['size'], '')
        for name, store in seen['stores'].items():
            percent = 100 if store['state'] == 'done' else store['percent']
            self._row(name, percent, store['state'])

    def _row(self, name, percent, state):
        if name not in self._rows:
            self._rows[name] = self._bars.add_task(name, total=100, state='')
        row = self._rows[name]
        if percent is None:
            self._bars.update(row, state=state)
        else:
            self._bars.update(row, completed=percent, state=state)


def display():
    """Return what suits the place that this prints to."""
    console = rich.console.Console()
    return Bars(console) if console.is_terminal else Lines()
