# SPDX-License-Identifier: Apache-2.0

"""A directory that is not trusted: nothing in it leads out of it.

Everything is opened by its name in a directory that is open already. What is
not a plain file or directory is refused.
"""

import contextlib
import os
import stat

from glance_replicate import errors
from glance_replicate import text

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = _READ | os.O_DIRECTORY


class BadDump(errors.ReplicatorError):
    """A directory does not hold what ``dump`` writes."""


class Folder:
    """An open directory; a context manager.

    :param fd: its descriptor, which this closes
    :param path: for messages
    """

    def __init__(self, fd, path):
        self.fd = fd
        self.path = path

    @classmethod
    def of_user(cls, path, make=False):
        """Open the directory that the user has named.

        :param make: create it if it does not exist
        :raises: :class:`BadDump`
        """
        try:
            if make:
                os.makedirs(path, mode=0o700, exist_ok=True)
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY), path)
        except OSError as exc:
            raise BadDump(
                f'Cannot use the directory {text.safe(path)}: {exc.strerror}'
            ) from None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self.fd)

    def folder(self, name, make=False):
        """Open a directory in this one."""
        _check(name)
        with _as_bad_dump(self, name):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=self.fd)
            fd = os.open(name, _FOLDER, dir_fd=self.fd)
        return Folder(fd, os.path.join(self.path, name))

    def open(self, name):
        """Open a plain file for reading bytes."""
        _check(name)
        with _as_bad_dump(self, name):
            fd = os.open(name, _READ, dir_fd=self.fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise BadDump(f'{self._shown(name)} is not a plain file')
        return open(fd, 'rb', buffering=0)

    def read(self, name, largest):
        """Return the bytes of a plain file that is not too large."""
        found = b''
        with self.open(name) as stream, _as_bad_dump(self, name):
            while len(found) <= largest:
                more = stream.read(largest + 1 - len(found))
                if not more:
                    return found
                found += more
        raise BadDump(f'{self._shown(name)} is too large')

    def size(self, name):
        """Return the size of a plain file."""
        with self.open(name) as stream:
            return os.fstat(stream.fileno()).st_size

    def has(self, name):
        """True if there is something of that name, whatever it is."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def names(self):
        """Return the names of all that is in it."""
        with _as_bad_dump(self, ''):
            return os.listdir(self.fd)

    def create(self, name):
        """Open a new file for writing bytes; one that is there is replaced."""
        _check(name)
        with _as_bad_dump(self, name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.fd)
            return open(
                os.open(name, _NEW, 0o600, dir_fd=self.fd), 'wb', buffering=0
            )

    def write(self, name, data):
        """Replace the bytes of a file: completely, or not at all."""
        part = f'.{name}.part'
        with self.create(part) as stream, _as_bad_dump(self, name):
            write_all(stream, data)
            os.fsync(stream.fileno())
        self.rename(part, name)

    def rename(self, old, new):
        """Rename something, and sync it to the disk."""
        with _as_bad_dump(self, new):
            os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            self.sync()

    def sync(self):
        """Sync the names in it to the disk."""
        os.fsync(self.fd)

    def remove(self, name):
        """Remove a directory of plain files, or a file, if it is there."""
        _check(name)
        with _as_bad_dump(self, name):
            try:
                os.unlink(name, dir_fd=self.fd)
            except FileNotFoundError:
                return
            except (IsADirectoryError, PermissionError):
                self._remove_folder(name)

    def _remove_folder(self, name):
        with self.folder(name) as inner:
            for each in inner.names():
                os.unlink(each, dir_fd=inner.fd)
        os.rmdir(name, dir_fd=self.fd)

    def _shown(self, name):
        return text.safe(os.path.join(self.path, name))


def write_all(stream, data):
    """Write all bytes to a file without a buffer, or raise OSError."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view):]


def _check(name):
    if not name or '/' in name or '\0' in name or name in ('.', '..'):
        raise BadDump(f'{text.safe(name)} is not the name of a file')


@contextlib.contextmanager
def _as_bad_dump(folder, name):
    """Turn an OSError into a :class:`BadDump` with the path."""
    try:
        yield
    except OSError as exc:
        path = text.safe(os.path.join(folder.path, name))
        raise BadDump(f'{path}: {exc.strerror or exc}') from exc
