# SPDX-License-Identifier: Apache-2.0

"""Volumes that several readers of this process use, attached once."""

import gc
import threading
import time

from glance_store_cinder import errors

_QUIET = 10
_LONGEST_QUIET = 600


class Readers:
    """The volumes that are being read by this process.

    :param patience: seconds to wait for one that is just being attached or
        detached
    :param later: takes functions that are to be called until they succeed
    :param now: tells the time in seconds
    """

    def __init__(self, patience, later, now=time.monotonic):
        self.now = now
        self._patience = patience
        self._later = later
        self._lock = threading.Lock()
        self._volumes = {}
        self._open = set()

    def acquire(self, volume_id, attach):
        """Return a :class:`_Shared` for one reader, who must release it.

        :param attach: returns an open :class:`Attachment`
        """
        with self._lock:
            shared = self._volumes.get(volume_id)
            if shared is None:
                shared = self._volumes[volume_id] = _Shared(self, volume_id)
                self._open.add(shared)
            shared.users += 1
        try:
            if not shared.lock.acquire(timeout=self._patience):
                raise errors.Unreachable(
                    message=f'Volume {volume_id} is being attached or '
                            f'detached for more than {self._patience} s.'
                )
            try:
                if shared.attachment is None:
                    shared.attachment = attach()
            finally:
                shared.lock.release()
        except BaseException:
            self._leave(shared)
            raise
        return shared

    def has(self, volume_id):
        """True if this process reads a volume.

        If it is just detaching it, this returns when that is done.
        """
        with self._lock:
            shared = self._volumes.get(volume_id)
        if shared is None:
            return False
        if not shared.lock.acquire(timeout=self._patience):
            return True
        shared.lock.release()
        return shared.users > 0

    def forget(self, shared):
        """Let the next reader attach the volume anew."""
        with self._lock:
            if self._volumes.get(shared.volume_id) is shared:
                del self._volumes[shared.volume_id]

    def release(self, shared):
        """One reader is done; the last one detaches the volume."""
        with shared.lock:
            with self._lock:
                last = shared.users == 1
            if last and shared.attachment is not None:
                attachment, shared.attachment = shared.attachment, None
                left = attachment.close()
                if left is not None:
                    self._later(left)
            self._leave(shared)

    def collect_abandoned(self):
        """Have readers destroyed that nothing but a cycle refers to.

        That is how Glance leaves a download that its client broke off. In a
        process with little to do, the garbage collector would not come for
        hours, and the image could not be deleted.
        """
        with self._lock:
            quiet = [shared for shared in self._open if shared.is_quiet()]
        if quiet:
            gc.collect()

    def _leave(self, shared):
        with self._lock:
            shared.users -= 1
            if not shared.users:
                self._open.discard(shared)
            if not shared.users and (
                self._volumes.get(shared.volume_id) is shared
            ):
                del self._volumes[shared.volume_id]


class _Shared:
    """One volume; its lock is held while it is attached or detached."""

    def __init__(self, readers, volume_id):
        self.volume_id = volume_id
        self.users = 0
        self.lock = threading.Lock()
        self.attachment = None
        self._readers = readers
        self._read_at = readers.now()
        self._patience = _QUIET

    def read(self, offset, size):
        """Return bytes of the volume."""
        self._read_at = self._readers.now()
        self._patience = _QUIET
        return self.attachment.device.read(offset, size)

    def size(self):
        """Return how many bytes the volume has."""
        return self.attachment.device.size()

    def is_quiet(self):
        """True if nobody has read for long, and for twice as long then."""
        if self._readers.now() - self._read_at < self._patience:
            return False
        self._patience = min(2 * self._patience, _LONGEST_QUIET)
        return True

    def release(self):
        self._readers.release(self)

    def broken(self):
        """What was attached cannot be read any more."""
        self._readers.forget(self)
