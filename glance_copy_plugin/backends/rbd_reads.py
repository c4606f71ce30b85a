# SPDX-License-Identifier: Apache-2.0

"""Reading images of Ceph with several requests in flight."""

import collections

from glance_copy_plugin.backends.rbd_objects import REQUEST
from glance_store_cinder import rbd_writes

_ZEROES = bytes(REQUEST)
# Which objects there are is asked of so many bytes at a time: an image can
# have millions.
_WINDOW = 16 * 1024 ** 3


def read(image, offset, in_flight):
    """Yield the bytes of an image from ``offset`` on, REQUEST at the most.

    What Ceph has no object of is not read: it is zeroes.

    :param image: ``rbd.Image``, which stays open until the generator ends
    :param in_flight: how many requests
    :raises OSError: if the cluster answers with an error
    """
    waiting = collections.deque()
    try:
        for start, end, exists in _requests(image, offset):
            waiting.append(
                _Read(image, start, end - start) if exists
                else _Hole(end - start)
            )
            if len(waiting) >= in_flight:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.wait()


class _Read:
    def __init__(self, image, offset, length):
        self._data = None
        self._completion = image.aio_read(offset, length, self._take)

    def _take(self, _completion, data):
        self._data = data

    def result(self):
        rbd_writes.check(self._completion)
        data, self._data = self._data, None
        # It refers to us: the data would wait for the garbage collector.
        self._completion = None
        return data

    def wait(self):
        self._completion.wait_for_complete_and_cb()


class _Hole:
    def __init__(self, length):
        self._length = length

    def result(self):
        if self._length == REQUEST:
            return _ZEROES
        return _ZEROES[:self._length]

    def wait(self):
        """Nothing is in flight."""


def _requests(image, offset):
    """Yield (start, end, whether there is an object) of each request."""
    size = image.size()
    while offset < size:
        end = min(size, (offset // _WINDOW + 1) * _WINDOW)
        for start, stop, exists in _extents(image, offset, end):
            while start < stop:
                limit = min(stop, (start // REQUEST + 1) * REQUEST)
                yield start, limit, exists
                start = limit
        offset = end


def _extents(image, offset, end):
    """Return (start, end, whether there are objects) without gaps."""
    found, position = [], offset

    def note(start, length, exists):
        nonlocal position
        stop = min(start + length, end)
        if not exists or stop <= position:
            return
        start = max(start, position)
        if start > position:
            found.append((position, start, False))
        found.append((start, stop, True))
        position = stop

    image.diff_iterate(
        offset, end - offset, None, note, include_parent=True,
        whole_object=True,
    )
    if position < end:
        found.append((position, end, False))
    return found
