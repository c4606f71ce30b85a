# SPDX-License-Identifier: Apache-2.0

"""The file-like object that store drivers read a staged image from."""

from glance_copy_plugin.transfer import errors


class StagedReader:
    """Reads a :class:`Follower` the way drivers expect of a file.

    * ``read(n)`` returns exactly ``n`` bytes, except at the end;
    * the read that would hand out the last byte returns only after the whole
      image was found to be right, so a driver never holds a complete image
      that is wrong;
    * an error is remembered in ``error``: a driver may swallow it and take
      it for the end of the data, and the caller has to know.

    :param follower: where the bytes come from
    :param on_bytes: called with the number of bytes handed out so far
    """

    def __init__(self, follower, on_bytes=None):
        self._follower = follower
        self._on_bytes = on_bytes or (lambda count: None)
        self.error = None

    @property
    def finished(self):
        """True if every byte was handed out, and was right."""
        return (
            self.error is None
            and self._follower.position >= self._follower.size
            and self._follower.spool.approved
        )

    def read(self, size=-1):
        """Return ``size`` bytes, or all that is left if negative."""
        try:
            return self._read(size)
        except (errors.CopyError, OSError) as exc:
            self.error = exc
            raise

    def __iter__(self):
        while chunk := self.read(1024 * 1024):
            yield chunk

    def close(self):
        """Nothing to do: the follower belongs to the caller."""

    def _read(self, size):
        if size is None or size < 0:
            size = self._follower.size
        data = self._follower.take(size)
        if self._follower.position >= self._follower.size:
            self._follower.wait_approved()
        self._on_bytes(self._follower.position)
        return data
