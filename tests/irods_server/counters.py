# SPDX-License-Identifier: Apache-2.0

"""What a server has been asked for, and the bytes that it moved."""

import collections
import dataclasses
import threading


@dataclasses.dataclass
class Call:
    """A call of an API; ``code`` is None until it is answered."""

    api: str
    path: str
    code: int | None = None


class Counters:
    """The calls in their order, and the bytes for each API."""

    def __init__(self):
        self._lock = threading.Lock()
        self.reset()

    def reset(self):
        """Forget everything counted so far."""
        with self._lock:
            self.calls = []
            self.bytes = collections.Counter()

    def begin(self, api, path):
        """Note that a call has come, and return it."""
        call = Call(api, path)
        with self._lock:
            self.calls.append(call)
        return call

    def passed(self, api, count):
        """Note that ``count`` bytes of data went over the connection."""
        with self._lock:
            self.bytes[api] += count
