# SPDX-License-Identifier: Apache-2.0

"""How far a copy is: counted by many threads, shown in one line.

The line is the ``message`` of Glance's task. It reads, for example::

    copying: 43 %, 220200960 bytes/s, 6 s left; image 2147483648 bytes, \
staged 50 % 1073741824; s1 40 % 858993459; s2 done; s3 queued

with "read" instead of "staged" for an image that is read where it is, and
with ", taken over" behind the first part if another process has begun it;
and :func:`parse` turns it back into numbers.
"""

import collections
import re
import threading
import time

PLANNING, QUEUED, COPYING = 'planning', 'queued', 'copying'
DONE, FAILED = 'done', 'failed'

# What a queued copy waits for.
A_PLACE = 'until other copies of this process have ended'
SPACE = 'until other copies leave room in the staging area'
# What is said between the process that began a copy and the one that ends it.
SUSPENDED = 'suspended: its process was stopped; another one carries it on'
_TAKEN_OVER = ', taken over'
# Long enough to even out bursts, short enough to notice a slow store.
_RATE_SECONDS = 10.0


class Progress:
    """Counts the bytes of one copy. Safe to use from any thread.

    :param stores: names of the stores that receive the image
    :param clock: returns seconds; for tests
    """

    def __init__(self, stores, *, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._states = dict.fromkeys(stores, QUEUED)
        self._bytes = dict.fromkeys(stores, 0)
        self._read = None
        self._read_how = 'read'
        self._samples = collections.deque()
        self.phase = PLANNING
        self.begun = False      # bytes are moved, or were
        self.taken_over = False
        self.size = 0
        self._reason = ''

    def wait(self, reason):
        """The copy waits, for one of the reasons above."""
        self._reason = reason
        self.phase = QUEUED

    def go_on(self):
        """The copy waits no more."""
        self.phase = COPYING if self.begun else PLANNING

    def begin(self, size):
        """The copy starts to move an image of ``size`` bytes."""
        with self._lock:
            self.size = size
            self.begun = True
            self.phase = COPYING

    def read(self, count):
        """``count`` bytes of the image have been read where they are."""
        with self._lock:
            self._read, self._read_how = count, 'read'

    def staged(self, count):
        """``count`` bytes of the image have been read and staged."""
        with self._lock:
            self._read, self._read_how = count, 'staged'

    def copied(self, store, count):
        """``store`` has received ``count`` bytes so far."""
        with self._lock:
            if count and not self._done():
                # Until now the pace was that of reading.
                self._samples = collections.deque(
                    (when, 0) for when, _read in self._samples
                )
            self._states[store] = COPYING
            self._bytes[store] = count

    def ended(self, store, state):
        """``store`` is ``DONE`` or ``FAILED``."""
        with self._lock:
            self._states[store] = state
            if state == DONE:
                self._bytes[store] = self.size

    def render(self):
        """Return the line described above."""
        with self._lock:
            rate, left = self._pace()
            parts = [self._headline(rate, left)]
            if self.taken_over:
                parts[0] += _TAKEN_OVER
            if self.phase == COPYING:
                parts.append(self._image_part())
            for store, state in self._states.items():
                if state == COPYING:
                    state = self._share(self._bytes[store])
                parts.append(f'{store} {state}')
        return '; '.join(parts)

    def _headline(self, rate, left):
        if self.phase == PLANNING:
            return f'{PLANNING}: looking for the best way to each store'
        if self.phase == QUEUED:
            return f'{QUEUED}: waiting {self._reason}'
        shown = 'unknown time' if left is None else f'{left:.0f} s'
        return (
            f'copying: {self._percent(self._done(), self._total())} %, '
            f'{rate:.0f} bytes/s, {shown} left'
        )

    def _image_part(self):
        text = f'image {self.size} bytes'
        if self._read is None:
            return text
        return f'{text}, {self._read_how} {self._share(self._read)}'

    def _share(self, count):
        return f'{self._percent(count, self.size)} % {count}'

    @staticmethod
    def _percent(count, total):
        return 100 * count // total if total else 100

    def _done(self):
        return sum(
            count for store, count in self._bytes.items()
            if self._states[store] != FAILED
        )

    def _total(self):
        wanted = [s for s in self._states.values() if s != FAILED]
        return self.size * len(wanted)

    def _pace(self):
        """Return bytes per second into all stores, and seconds left.

        While the image is only read, its pace stands for the stores'.
        """
        now = self._clock()
        done = self._done() or self._read or 0
        self._samples.append((now, done))
        while now - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        first_time, first_done = self._samples[0]
        seconds = now - first_time
        rate = max(0, done - first_done) / seconds if seconds else 0.0
        if not rate:
            return 0.0, None
        return rate, max(0, self._total() - self._done()) / rate


_HEADLINE = re.compile(
    r'copying: (?P<percent>\d+) %, (?P<rate>\d+) bytes/s, '
    r'(?:(?P<left>\d+) s|unknown time) left$'
)
_IMAGE = re.compile(
    r'image (?P<size>\d+) bytes'
    r'(?:, read \d+ % (?P<read>\d+)|, staged \d+ % (?P<staged>\d+))?$'
)
_SHARE = re.compile(r'(?P<name>.+) (?P<percent>\d+) % (?P<bytes>\d+)$')


def parse(message):
    """Turn a progress line back into numbers.

    :returns: ``{'phase', 'taken_over', 'percent', 'rate', 'seconds_left',
        'size', 'read', 'staged', 'stores': {name: {'state', 'percent',
        'bytes'}}}`` with None for what the line does not say; None if
        ``message`` is not a progress line (a task that has ended has another
        message)
    """
    head, *parts = (message or '').split('; ')
    taken_over = head.endswith(_TAKEN_OVER)
    head = head.removesuffix(_TAKEN_OVER)
    match = _HEADLINE.match(head)
    phase = COPYING if match else head.partition(':')[0]
    if phase not in (PLANNING, QUEUED, COPYING):
        return None
    numbers = match.groupdict() if match else {}
    result = {
        'phase': phase,
        'taken_over': taken_over,
        'percent': _number(numbers.get('percent')),
        'rate': _number(numbers.get('rate')),
        'seconds_left': _number(numbers.get('left')),
        'size': None,
        'read': None,
        'staged': None,
        'stores': {},
    }
    if phase == COPYING and parts:
        image = _IMAGE.match(parts.pop(0))
        if image is None:
            return None
        result['size'] = _number(image['size'])
        result['read'] = _number(image['read'])
        result['staged'] = _number(image['staged'])
    for part in parts:
        share = _SHARE.match(part)
        if share:
            name, state = share['name'], COPYING
        else:
            name, _, state = part.rpartition(' ')
        result['stores'][name] = {
            'state': state,
            'percent': int(share['percent']) if share else None,
            'bytes': int(share['bytes']) if share else None,
        }
    return result


def _number(text):
    return None if text is None else int(text)
