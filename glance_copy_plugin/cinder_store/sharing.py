# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Volumes that several readers of this process use, attached once."""

import threading

from glance_copy_plugin.cinder_store import errors


class Readers:
    """The volumes that are being read by this process.

    :param patience: seconds to wait for one that is just being attached or
        detached
    :param later: takes functions that are to be called until they succeed
    """

    def __init__(self, patience, later):
        self._patience = patience
        self._later = later
        self._lock = threading.Lock()
        self._volumes = {}

    def acquire(self, volume_id, attach):
        """Return a :class:`_Shared` for one reader, who must release it.

        :param attach: returns an open :class:`Attachment`
        """
        with self._lock:
            shared = self._volumes.get(volume_id)
            if shared is None:
                shared = self._volumes[volume_id] = _Shared(self, volume_id)
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

    def _leave(self, shared):
        with self._lock:
            shared.users -= 1
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

    @property
    def device(self):
        return self.attachment.device

    def release(self):
        self._readers.release(self)

    def broken(self):
        """What was attached cannot be read any more."""
        self._readers.forget(self)
