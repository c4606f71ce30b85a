# SPDX-License-Identifier: Apache-2.0

"""Reading an image, from anywhere in it to anywhere.

A volume that several readers of this process use is attached once.
"""

import gc
import threading
import time

from glance_store import exceptions

from glance_store_cinder import errors

_QUIET = 10
_LONGEST_QUIET = 600


class Chunks:
    """Iterates over bytes of a volume; raises if they cannot be read.

    :param shared: from :class:`Readers`
    :param offset: of the first byte
    :param end: of the one after the last
    :param size: of a chunk
    :param later: takes a function that a destructor must not call itself
    """

    def __init__(self, shared, offset, end, size, later):
        self._shared = shared
        self._offset = offset
        self._end = end
        self._size = size
        self._later = later
        try:
            there = shared.size()
            if there < end:
                raise exceptions.BackendException(
                    f'Volume {shared.volume_id} has {there} bytes, but {end} '
                    'of them belong to the image.'
                )
        except BaseException:
            self.close()
            raise

    def __iter__(self):
        return self

    def __next__(self):
        if self._shared is None:
            raise StopIteration
        size = min(self._size, self._end - self._offset)
        try:
            data = self._shared.read(self._offset, size)
        except BaseException:
            self._shared.broken()
            self.close()
            raise
        self._offset += size
        if self._offset >= self._end:
            # Before the last bytes are given away: whoever has them all may
            # want to delete the image at once.
            self.close()
        return data

    def close(self):
        """Let others have the volume."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.release()

    def __del__(self):
        # Any thread may run this, also one that holds a lock.
        shared, self._shared = getattr(self, '_shared', None), None
        if shared is not None:
            self._later(shared.release)


class Readers:
    """The volumes that are being read by this process.

    :param timeout: seconds to wait for one that is just being attached or
        detached
    :param later: takes functions that are to be called until they succeed
    :param now: tells the time in seconds
    """

    def __init__(self, timeout, later, now=time.monotonic):
        self.timeout = timeout
        self.later = later
        self.now = now
        self.lock = threading.Lock()
        # What the next reader of a volume shares, and all that are in use.
        self.current = {}
        self.open = set()

    def acquire(self, volume_id, attach):
        """Return a :class:`_Shared` for one reader, who must release it.

        :param attach: returns an open :class:`Attachment`
        """
        with self.lock:
            shared = self.current.get(volume_id)
            if shared is None:
                shared = self.current[volume_id] = _Shared(self, volume_id)
                self.open.add(shared)
            shared.users += 1
        try:
            shared.attach(attach)
        except BaseException:
            shared.leave()
            raise
        return shared

    def has(self, volume_id):
        """True if this process reads a volume.

        If it is just detaching it, this returns when that is done.
        """
        with self.lock:
            shared = self.current.get(volume_id)
        if shared is None:
            return False
        if not shared.attaching.acquire(timeout=self.timeout):
            return True
        shared.attaching.release()
        return shared.users > 0

    def collect_abandoned(self):
        """Have readers destroyed that nothing but a cycle refers to.

        That is how Glance leaves a download that its client broke off. In a
        process with little to do, the garbage collector would not come for
        hours, and the image could not be deleted.
        """
        with self.lock:
            # Each is asked: that changes when it is asked again.
            quiet = [shared for shared in self.open if shared.is_quiet()]
        if quiet:
            gc.collect()


class _Shared:
    """One volume, for all readers of this process.

    Its lock ``attaching`` is held while it is attached or detached.
    """

    def __init__(self, readers, volume_id):
        self.volume_id = volume_id
        self.users = 0
        self.attaching = threading.Lock()
        self.attachment = None
        self._readers = readers
        self._read_at = readers.now()
        self._quiet_after = _QUIET

    def attach(self, attach):
        """Attach the volume unless it is."""
        seconds = self._readers.timeout
        if not self.attaching.acquire(timeout=seconds):
            raise errors.Unreachable(
                message=f'Volume {self.volume_id} is being attached or '
                        f'detached for more than {seconds} s.'
            )
        try:
            if self.attachment is None:
                self.attachment = attach()
        finally:
            self.attaching.release()

    def read(self, offset, size):
        """Return bytes of the volume."""
        self._read_at = self._readers.now()
        self._quiet_after = _QUIET
        return self.attachment.device.read(offset, size)

    def size(self):
        """Return how many bytes the volume has."""
        return self.attachment.device.size()

    def is_quiet(self):
        """True if nobody has read for long, and for twice as long then."""
        if self._readers.now() - self._read_at < self._quiet_after:
            return False
        self._quiet_after = min(2 * self._quiet_after, _LONGEST_QUIET)
        return True

    def broken(self):
        """Let the next reader attach the volume anew."""
        with self._readers.lock:
            self._forget()

    def release(self):
        """One reader is done; the last one detaches the volume."""
        with self.attaching:
            with self._readers.lock:
                last = self.users == 1
            if last and self.attachment is not None:
                attachment, self.attachment = self.attachment, None
                left = attachment.close()
                if left is not None:
                    self._readers.later(left)
            self.leave()

    def leave(self):
        """One reader is done, or has not begun."""
        with self._readers.lock:
            self.users -= 1
            if not self.users:
                self._readers.open.discard(self)
                self._forget()

    def _forget(self):
        if self._readers.current.get(self.volume_id) is self:
            del self._readers.current[self.volume_id]
