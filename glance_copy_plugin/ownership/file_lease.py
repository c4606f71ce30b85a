# SPDX-License-Identifier: Apache-2.0

"""A lease for the processes of one host: a locked file."""

import contextlib
import fcntl
import json
import os
import time

from glance_copy_plugin.ownership import lease


class FileLease(lease.Lease):
    """One file of the journal, locked by this process.

    :param path: path of the file
    :param fd: its descriptor, which holds the lock
    :param request_id: id of the request that asked for the copy, or None if
        the file was never written to the end
    """

    def __init__(self, path, fd, request_id=None):
        super().__init__(os.path.basename(path))
        self.path = path
        self.request_id = request_id
        self.accepted_at = None
        self._fd = fd
        self._begun = False

    @property
    def begun(self):
        """True if some flow of this process has begun the copy."""
        return self._begun

    @property
    def held(self):
        """True while this process holds the lock."""
        return self._fd is not None

    def begin(self):
        """Return True to the first that asks: it runs the copy."""
        with self._lock:
            first, self._begun = not self._begun, True
            return first and self.held

    def accept(self):
        """The user was told that the copy will be made."""
        self.accepted_at = time.monotonic()

    def save(self):
        """Write the file, so that what it says survives this process."""
        content = json.dumps(
            {'request_id': self.request_id, 'attempts': self.attempts}
        ).encode()
        # Never empty in between: a crash here must not lose the request.
        os.pwrite(self._fd, content, 0)
        os.ftruncate(self._fd, len(content))
        os.fsync(self._fd)

    def check(self):
        """Return: only who has the file can carry the copy on."""

    def hand_over(self):
        """Release a copy that was stopped in an orderly way."""
        self.attempts = 0
        if self.held:
            self.save()
        self.release()

    def _forget(self):
        if self.held:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self._free()

    def load(self):
        """Read what :meth:`save` has written, if it was written to the end."""
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            with open(self.path, encoding='utf-8') as file:
                content = json.load(file)
            self.request_id = content.get('request_id')
            self.attempts = int(content.get('attempts', 0))

    def close(self):
        """Close the file in a forked process; its parent keeps the lock."""
        if self.held:
            os.close(self._fd)
            self._fd = None

    def _free(self):
        if self.held:
            # Also for a forked process that has inherited the descriptor.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = None
