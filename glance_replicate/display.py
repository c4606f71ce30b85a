# SPDX-License-Identifier: Apache-2.0

"""Progress on standard error: bars on a terminal, else plain lines."""

import sys
import threading
import time

import rich.console
import rich.progress

from glance_replicate import results
from glance_replicate import text

_INTERVAL = 10.0
_QUIET = (results.SAME, results.STOPPED)


class Display:
    """Counts what is done, and how fast; this one shows nothing of it.

    A context manager; safe to use from any thread.

    :param clock: returns seconds; for tests
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._moving = {}
        self.images = self.total_images = 0
        self.bytes = self.total_bytes = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def expect(self, count, size):
        """So many images, and so many bytes, are to be done."""
        with self._lock:
            self.total_images, self.total_bytes = count, size
            self._show()

    def begin(self, key, name, size):
        """The bytes of one image begin to move, or begin anew."""
        with self._lock:
            self.bytes -= self._moving.pop(key, 0)
            self._show()

    def advance(self, key, count):
        """So many bytes of it have moved."""
        with self._lock:
            self._moving[key] = self._moving.get(key, 0) + count
            self.bytes += count
            self._show()

    def end(self, key, result):
        """It is done, as a :class:`Result` tells."""
        with self._lock:
            self._moving.pop(key, None)
            self.images += 1
            self._show()

    def say(self, sentence):
        """Tell the user something."""

    @property
    def rate(self):
        """Bytes per second so far."""
        seconds = self._clock() - self._began
        return self.bytes / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self):
        """An estimate, or None."""
        if not self.rate:
            return None
        return max(0, self.total_bytes - self.bytes) / self.rate

    def _show(self):
        """Show how much is done; called with the lock held."""


class Lines(Display):
    """One line for each image, and one every ten seconds for all of them."""

    def __init__(self, stream=None, clock=time.monotonic):
        super().__init__(clock)
        self._stream = stream or sys.stderr
        self._next = clock() + _INTERVAL

    def end(self, key, result):
        super().end(key, result)
        if result.what not in _QUIET:
            self._write(line_of(result))

    def say(self, sentence):
        self._write(text.safe(sentence))

    def _show(self):
        now = self._clock()
        if now >= self._next:
            self._next = now + _INTERVAL
            self._write(
                f'{self.images} of {self.total_images} images, '
                f'{text.size(self.bytes)} of {text.size(self.total_bytes)}, '
                f'{text.size(self.rate)}/s, '
                f'{text.seconds(self.seconds_left)} left'
            )

    def _write(self, line):
        # In one piece, so that lines of several threads do not mix.
        self._stream.write(f'{line}\n')
        self._stream.flush()


class _Progress:
    """A context manager that draws with rich."""

    def __init__(self, console, *columns, transient):
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn('{task.description}', markup=False),
            rich.progress.BarColumn(), *columns,
            console=console, transient=transient,
        )
        self._rows = {}

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()


_STATE = '{task.fields[state]}'


class Bars(_Progress, Display):
    """A bar for each image that moves, and one for all of them."""

    def __init__(self, console):
        Display.__init__(self)
        _Progress.__init__(
            self, console, rich.progress.TextColumn(_STATE, markup=False),
            rich.progress.TransferSpeedColumn(),
            rich.progress.TimeRemainingColumn(), transient=True,
        )
        self._all = self._bars.add_task('all', total=None, state='')

    def begin(self, key, name, size):
        super().begin(key, name, size)
        if key in self._rows:
            self._bars.reset(self._rows[key])
        else:
            self._rows[key] = self._bars.add_task(
                text.safe(name or key, 24), total=size, state=text.size(size)
            )

    def advance(self, key, count):
        super().advance(key, count)
        self._bars.advance(self._rows[key], count)

    def end(self, key, result):
        super().end(key, result)
        if key in self._rows:
            self._bars.remove_task(self._rows.pop(key))
        if not result.is_good and result.what not in _QUIET:
            self._print(line_of(result))

    def say(self, sentence):
        self._print(text.safe(sentence))

    def _print(self, line):
        self._bars.console.print(line, markup=False, highlight=False)

    def _show(self):
        self._bars.update(
            self._all, completed=self.bytes, total=self.total_bytes or None,
            state=f'{self.images}/{self.total_images} images',
        )


def line_of(result):
    """Return the line of text that tells about one image."""
    parts = [f'{result.what}: {result.image_id}']
    if result.name:
        parts.append(f'({text.safe(result.name, 60)})')
    if result.size:
        parts.append(text.size(result.size))
    if result.copy_id:
        parts.append(f'as {result.copy_id}')
    line = ' '.join(parts)
    return f'{line}: {text.safe(result.detail)}' if result.detail else line


class WatchLines(Display):
    """Writes the message of a task whenever it changes."""

    def __init__(self, stream=None):
        super().__init__()
        self._stream = stream or sys.stderr
        self._last = None

    def show(self, seen):
        """Take one look at the copy, a :class:`Seen`."""
        if seen.message and seen.message != self._last:
            self._last = seen.message
            print(text.safe(seen.message), file=self._stream, flush=True)


class WatchBars(_Progress):
    """Draws a bar for each store of a copy, and for reading or staging."""

    def __init__(self, console):
        super().__init__(
            console, rich.progress.TextColumn('{task.percentage:.0f} %'),
            rich.progress.TextColumn(_STATE, markup=False), transient=False,
        )
        self._stores = set()

    def show(self, seen):
        """Take one look at the copy, a :class:`Seen`."""
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
        missing = () if done else seen.missing(self._stores)
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


def suitable(bars=Bars, lines=Lines):
    """Return the display that suits standard error."""
    console = rich.console.Console(stderr=True)
    return bars(console) if console.is_terminal else lines()
