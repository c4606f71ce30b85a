# SPDX-License-Identifier: Apache-2.0

"""Progress while it happens, on standard error: bars, or plain lines."""

import sys
import threading
import time
import typing

import rich.console
import rich.progress

from glance_replicate import results
from glance_replicate import text

_INTERVAL = 10.0
_QUIET = (results.SAME, results.STOPPED)


class Display(typing.Protocol):
    """What jobs tell about themselves. A context manager; thread-safe."""

    def expect(self, count, size):
        """So many images, and so many bytes, are to be done."""

    def begin(self, key, name, size):
        """Bytes of one image begin to move (again)."""

    def advance(self, key, count):
        """So many bytes of it have moved."""

    def end(self, key, result):
        """It is done, as a :class:`Result` tells."""

    def say(self, sentence):
        """Tell the user something."""


class Silent(Display):
    """Shows nothing."""


class Count:
    """How much is done, and how fast.

    :param clock: returns seconds; for tests
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._began = clock()
        self._moving = {}
        self.images = self.total_images = 0
        self.bytes = self.total_bytes = 0

    def begin(self, key):
        self.bytes -= self._moving.pop(key, 0)
        self._moving[key] = 0

    def advance(self, key, count):
        self._moving[key] = self._moving.get(key, 0) + count
        self.bytes += count

    def end(self, key):
        self._moving.pop(key, None)
        self.images += 1

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


class Lines:
    """One line for each image, and one now and then for all together."""

    def __init__(self, stream=None, clock=time.monotonic):
        self._stream = stream or sys.stderr
        self._clock = clock
        self._lock = threading.Lock()
        self._count = Count(clock)
        self._next = clock() + _INTERVAL

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def expect(self, count, size):
        with self._lock:
            self._count.total_images = count
            self._count.total_bytes = size

    def begin(self, key, name, size):
        with self._lock:
            self._count.begin(key)

    def advance(self, key, count):
        with self._lock:
            self._count.advance(key, count)
            now = self._clock()
            if now >= self._next:
                self._next = now + _INTERVAL
                self._write(_summary(self._count))

    def end(self, key, result):
        with self._lock:
            self._count.end(key)
            if result.what not in _QUIET:
                self._write(line_of(result))

    def say(self, sentence):
        with self._lock:
            self._write(text.safe(sentence))

    def _write(self, line):
        print(line, file=self._stream, flush=True)


class Bars:
    """A bar for each image that moves, and one for all."""

    def __init__(self, console):
        self._console = console
        self._lock = threading.Lock()
        self._count = Count()
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn('{task.description}', markup=False),
            rich.progress.BarColumn(),
            rich.progress.TextColumn('{task.fields[state]}', markup=False),
            rich.progress.TransferSpeedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=console, transient=True,
        )
        self._rows = {}
        self._all = self._bars.add_task('all', total=None, state='')

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *error):
        self._bars.stop()

    def expect(self, count, size):
        with self._lock:
            self._count.total_images = count
            self._count.total_bytes = size
            self._show()

    def begin(self, key, name, size):
        with self._lock:
            self._count.begin(key)
            if key in self._rows:
                self._bars.reset(self._rows[key])
            else:
                self._rows[key] = self._bars.add_task(
                    text.safe(name or key, 24), total=size,
                    state=text.size(size),
                )
            self._show()

    def advance(self, key, count):
        with self._lock:
            self._count.advance(key, count)
            self._bars.advance(self._rows[key], count)
            self._show()

    def end(self, key, result):
        with self._lock:
            self._count.end(key)
            if key in self._rows:
                self._bars.remove_task(self._rows.pop(key))
            self._show()
            if not result.is_good and result.what not in _QUIET:
                self._print(line_of(result))

    def say(self, sentence):
        with self._lock:
            self._print(text.safe(sentence))

    def _print(self, line):
        self._console.print(line, markup=False, highlight=False)

    def _show(self):
        count = self._count
        self._bars.update(
            self._all, completed=count.bytes, total=count.total_bytes or None,
            state=f'{count.images}/{count.total_images} images',
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


def _summary(count):
    return (
        f'{count.images} of {count.total_images} images, '
        f'{text.size(count.bytes)} of {text.size(count.total_bytes)}, '
        f'{text.size(count.rate)}/s, {text.seconds(count.seconds_left)} left'
    )


def suitable():
    """Return the display that suits standard error."""
    console = rich.console.Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines()
