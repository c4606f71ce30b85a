# SPDX-License-Identifier: Apache-2.0

"""The journal: one locked file for each copy of this host.

What a copy still has to do stands in Glance's own records. The journal only
says that there is a copy to look after, and whether its process still lives:
the operating system drops the lock (``flock``) of a process that ends in
whatever way.
"""

import contextlib
import fcntl
import os
import re
import tempfile
import threading
import time

from oslo_log import log as logging

from glance_copy_plugin import process_state
from glance_copy_plugin.ownership import file_lease

LOG = logging.getLogger(__name__)

_CLOSED = 'closed'
_NAME = re.compile(r'^[0-9a-fA-F-]{36}$')


class Journal(process_state.SurvivesFork):
    """The entries of one host.

    :param folder: directory of the entries; made when needed
    """

    def __init__(self, folder):
        self.folder = folder
        self._lock = threading.Lock()
        self._mine = {}

    @property
    def closed(self):
        """True if no new copies are to be accepted on this host.

        Asked when the new one has its lease: whoever closes the journal and
        looks at its entries then misses none.
        """
        return os.path.exists(os.path.join(self.folder, _CLOSED))

    def close(self):
        """Accept no new copies, in no process of this host.

        :raises OSError: if the journal cannot be written
        """
        self._make_folder()
        with open(os.path.join(self.folder, _CLOSED), 'w'):
            """That it is there says it all."""

    def open(self):
        """Accept copies again; nothing happens if they are accepted."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, _CLOSED))

    def claim(self, image_id, request_id):
        """Make a lease for a new copy.

        :returns: :class:`FileLease`, or None if there is one already: the
            image is being copied, or its copy waits for being taken over
        :raises OSError: if the journal cannot be written
        """
        with self._lock:
            self._make_folder()
            lease = self._make(image_id, request_id)
            if lease is not None:
                self._mine[image_id] = lease
            return lease

    def mine(self, image_id):
        """Return this process's lease for an image, or None."""
        with self._lock:
            lease = self._mine.get(image_id)
            return lease if lease is not None and lease.held else None

    def dropped(self, seconds):
        """Return accepted entries that nobody has begun for ``seconds``."""
        now = time.monotonic()
        with self._lock:
            self._mine = {
                image_id: lease for image_id, lease in self._mine.items()
                if lease.held
            }
            return [
                lease for lease in self._mine.values()
                if not lease.begun
                and lease.accepted_at is not None
                and now - lease.accepted_at >= seconds
            ]

    def after_fork(self):
        """Nothing is this process's own."""
        self._lock = threading.Lock()
        for lease in self._mine.values():
            lease.close()
        self._mine = {}

    def abandoned(self):
        """Yield entries whose process is gone; each is locked for us now."""
        for name in self.names():
            lease = self.take(name)
            if lease is not None:
                yield lease

    def names(self):
        """Return the ids of the images that there is a lease of."""
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        return [name for name in names if _NAME.match(name)]

    def take(self, image_id):
        """Return a lease whose process is gone, locked for us, or None."""
        with self._lock:
            lease = self._open(image_id)
            if lease is not None:
                lease.load()
                self._mine[image_id] = lease
            return lease

    def _make_folder(self):
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def _make(self, image_id, request_id):
        """Make a file that is locked and complete when it gets its name."""
        fd, draft = tempfile.mkstemp(prefix='.', dir=self.folder)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lease = file_lease.FileLease(
            os.path.join(self.folder, image_id), fd, request_id
        )
        try:
            lease.save()
            os.link(draft, lease.path)
            return lease
        except FileExistsError:
            lease.release()
            return None
        except OSError:
            lease.release()
            raise
        finally:
            os.unlink(draft)

    def _open(self, name):
        """Lock an existing file; None if its owner lives, or it is gone."""
        path = os.path.join(self.folder, name)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as exc:
            # One such file must not keep all others from being looked at.
            LOG.warning(
                'Cannot open %(path)s, an entry of the journal of copies: '
                '%(why)s',
                {'path': path, 'why': exc.strerror},
            )
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, its owner may have ended the copy.
            if os.stat(path).st_ino == os.fstat(fd).st_ino:
                return file_lease.FileLease(path, fd)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(fd)
        return None
