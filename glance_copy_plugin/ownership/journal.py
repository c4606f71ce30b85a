# SPDX-License-Identifier: Apache-2.0

"""The journal: one locked file for each copy of this host.

What a copy still has to do stands in Glance's own records. The journal only
says that there is a copy to look after, and whether its process still lives:
the operating system drops the lock (``flock``) of a process that ends in
whatever way.
"""

import contextlib
import fcntl
import json
import os
import re
import tempfile
import threading
import time

from oslo_log import log as logging

from glance_copy_plugin.ownership import lease

LOG = logging.getLogger(__name__)

_CLOSED = 'closed'
_NAME = re.compile(r'^[0-9a-fA-F-]{36}$')


class Entry(lease.Holder):
    """One copy's file, locked by this process.

    :param path: path of the file
    :param fd: its descriptor, which holds the lock
    :param request_id: id of the request that asked for the copy, or None if
        the file was never written to the end
    :param attempts: how often the copy has been taken over
    """

    # Only who has the file can carry the copy on, whatever the time.
    lost = False

    def __init__(self, path, fd, request_id=None, attempts=0):
        super().__init__()
        self.path = path
        self.image_id = os.path.basename(path)
        self.request_id = request_id
        self.attempts = attempts
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
        """Write what the entry says, so that it survives this process."""
        content = json.dumps(
            {'request_id': self.request_id, 'attempts': self.attempts}
        ).encode()
        # Never empty in between: a crash here must not lose the request.
        os.pwrite(self._fd, content, 0)
        os.ftruncate(self._fd, len(content))
        os.fsync(self._fd)

    def check(self):
        """Return if the copy is still this process's, which it is."""

    def hand_over(self):
        """Leave a copy that was stopped in an orderly way to another process.

        However often that happens, it says nothing against the copy.
        """
        self.attempts = 0
        if self.held:
            self.save()
        self.release()

    def _forget(self):
        if self.held:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self._free()

    def forget(self):
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


class Journal:
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

        Asked when the new one has its entry: whoever closes the journal and
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
        """Make an entry for a new copy.

        :returns: :class:`Entry`, or None if there is one already: the image
            is being copied, or its copy waits for being taken over
        :raises OSError: if the journal cannot be written
        """
        with self._lock:
            self._make_folder()
            entry = self._make(image_id, request_id)
            if entry is not None:
                self._mine[image_id] = entry
            return entry

    def mine(self, image_id):
        """Return this process's entry for an image, or None."""
        with self._lock:
            entry = self._mine.get(image_id)
            return entry if entry is not None and entry.held else None

    def dropped(self, seconds):
        """Return accepted entries that nobody has begun for ``seconds``."""
        now = time.monotonic()
        with self._lock:
            self._mine = {
                image_id: entry for image_id, entry in self._mine.items()
                if entry.held
            }
            return [
                entry for entry in self._mine.values()
                if not entry.begun
                and entry.accepted_at is not None
                and now - entry.accepted_at >= seconds
            ]

    def forget(self):
        """Begin anew in a forked process: nothing is this process's own."""
        self._lock = threading.Lock()
        for entry in self._mine.values():
            entry.forget()
        self._mine = {}

    def abandoned(self):
        """Yield entries whose process is gone; each is locked for us now."""
        for name in self.names():
            entry = self.take(name)
            if entry is not None:
                yield entry

    def names(self):
        """Return the ids of the images that there is an entry of."""
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        return [name for name in names if _NAME.match(name)]

    def take(self, image_id):
        """Return an entry whose process is gone, locked for us, or None."""
        with self._lock:
            entry = self._open(image_id)
            if entry is not None:
                _load(entry)
                self._mine[image_id] = entry
            return entry

    def _make_folder(self):
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def _make(self, image_id, request_id):
        """Make a file that is locked and complete when it gets its name."""
        fd, draft = tempfile.mkstemp(prefix='.', dir=self.folder)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        entry = Entry(os.path.join(self.folder, image_id), fd, request_id)
        try:
            entry.save()
            os.link(draft, entry.path)
            return entry
        except FileExistsError:
            entry.release()
            return None
        except OSError:
            entry.release()
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
                'An entry of the journal of copies, %(path)s, cannot be '
                'opened: %(why)s', {'path': path, 'why': exc.strerror},
            )
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, its owner may have ended the copy.
            if os.stat(path).st_ino == os.fstat(fd).st_ino:
                return Entry(path, fd)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(fd)
        return None


def _load(entry):
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        with open(entry.path, encoding='utf-8') as file:
            content = json.load(file)
        entry.request_id = content.get('request_id')
        entry.attempts = int(content.get('attempts', 0))
