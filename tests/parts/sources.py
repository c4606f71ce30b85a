# SPDX-License-Identifier: Apache-2.0

"""Sources that go wrong in the ways that stores do."""


class Stream:
    """Bytes that have to be read through a driver, in small chunks.

    :param breaks_at: raise an error after that many bytes
    :param breaks: so often, or each time if None
    :param paused_at: wait for ``go_on`` after that many bytes
    :param go_on: an event
    """

    def __init__(
        self, data, store='origin', *, chunk=65536, breaks_at=None,
        breaks=None, paused_at=None, go_on=None,
    ):
        self.store = store
        self.offsets = []
        self._data = data
        self._chunk = chunk
        self._breaks_at = breaks_at
        self._breaks = breaks
        self._paused_at = paused_at
        self._go_on = go_on

    def local_file(self):
        return None

    def read_from(self, offset):
        self.offsets.append(offset)
        steady = self._breaks is not None and len(self.offsets) > self._breaks
        while offset < len(self._data):
            if self._paused_at is not None and offset >= self._paused_at:
                assert self._go_on.wait(60)
            if (
                self._breaks_at is not None and offset >= self._breaks_at
                and not steady
            ):
                raise ConnectionResetError('the connection was reset')
            end = min(offset + self._chunk, len(self._data))
            if self._breaks_at is not None and offset < self._breaks_at:
                end = min(end, self._breaks_at)
            yield self._data[offset:end]
            offset = end
