# SPDX-License-Identifier: Apache-2.0

"""Writing to a new image of Ceph, with several requests in flight.

For volumes and for images: the backend rbd of the plugin writes so, too.
"""

import collections
import os


class Writes:
    """Writes to an image in which nothing was written before.

    Zeroes are left out: Ceph reads as zeroes what was never written.

    :param image: ``rbd.Image``
    :param in_flight: how many requests at the same time
    """

    def __init__(self, image, in_flight):
        self._image = image
        self._in_flight = in_flight
        self._pending = collections.deque()

    def write(self, offset, data):
        """Begin to write bytes; wait if there is too much in flight.

        :raises OSError: what one before failed with
        """
        if data == bytes(len(data)):
            return
        while len(self._pending) >= self._in_flight:
            check(self._pending.popleft())
        self._pending.append(self._image.aio_write(data, offset, _ignore))

    def finish(self):
        """Return when all of it is in the cluster.

        :raises OSError: what one failed with
        """
        while self._pending:
            check(self._pending.popleft())
        self._image.flush()

    def abandon(self):
        """Return when nothing is in flight any more, whatever became of it.

        The image must not be closed before.
        """
        while self._pending:
            self._pending.popleft().wait_for_complete_and_cb()


def check(completion):
    """Wait for a request to end.

    :raises OSError: if the cluster answers with an error
    """
    completion.wait_for_complete_and_cb()
    code = completion.get_return_value()
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def _ignore(_completion):
    """What became of a request is asked of it later."""
