# SPDX-License-Identifier: Apache-2.0

"""Sharing the space of the staging area among the copies of a host.

Each copy that stages something has a file in the folder ``space``: how many
bytes it may write, and where. It is locked (``flock``) while its process
lives, so that what a dead process had reserved is free again. Who has to wait
has a file as well, and its turn: a large image is not overtaken for ever by
small ones.
"""

import contextlib
import fcntl
import json
import os

from oslo_concurrency import lockutils

from glance_copy_plugin.transfer import errors

_LOOK_SECONDS = 0.5
_HINT = 'free space there or set [copy_image] staging_window'


class StagingSpace:
    """The staging area of a host, as one process sees it.

    :param folder: directory of the staging area; made when missing
    """

    def __init__(self, folder):
        self._area = folder
        self._folder = os.path.join(folder, 'copy-image', 'space')

    def reserve(self, size, *, folder, cancel, on_wait):
        """Reserve ``size`` bytes; wait until they are there.

        :param folder: directory that this copy will stage to
        :param cancel: :class:`CancelToken`; ends waiting
        :param on_wait: called if it has to wait
        :returns: :class:`Reservation`
        :raises StagingError: if so much can never be there
        """
        ticket = None
        try:
            while True:
                cancel.check()
                with self._host_lock():
                    if ticket is None:
                        ticket = self._queue(folder)
                    free, ahead = self._look(ticket)
                    if size <= free and not ahead:
                        ticket.grant(size)
                        return ticket
                    self._refuse_what_never_fits(size)
                on_wait()
                cancel.wait(_LOOK_SECONDS)
        except OSError as exc:
            _give_up(ticket)
            raise errors.StagingError(
                f'cannot be used: {exc.strerror}; check [copy_image] '
                'staging_dir'
            ) from exc
        except BaseException:
            _give_up(ticket)
            raise

    def reservations(self):
        """Return ``{path: directory that is staged to}``, live or not."""
        found = {}
        for name in self._names():
            path = os.path.join(self._folder, name)
            try:
                with open(path, encoding='utf-8') as file:
                    found[path] = json.load(file)['folder']
            except (FileNotFoundError, ValueError):
                continue
        return found

    def forget_dead(self):
        """Remove what processes that are gone had reserved."""
        for name in self._names():
            _read_if_live(os.path.join(self._folder, name))

    def _host_lock(self):
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        return lockutils.lock(
            'copy-image-space', external=True, lock_path=self._folder
        )

    def _queue(self, folder):
        numbers = [int(name) for name in self._names()]
        path = os.path.join(self._folder, f'{max(numbers, default=0) + 1:09}')
        return Reservation(path, folder)

    def _names(self):
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.isdigit())

    def _look(self, ticket):
        """Return the bytes that are free for it, and if others are first."""
        free = self._bytes_free()
        for name in self._names():
            path = os.path.join(self._folder, name)
            if path == ticket.path:
                continue
            other = _read_if_live(path)
            if other is None:
                continue
            if other['size'] is None:
                if path < ticket.path:
                    return free, True
                continue
            free -= max(0, other['size'] - _bytes_in(other['folder']))
        return free, False

    def _refuse_what_never_fits(self, size):
        staged = sum(
            _bytes_in(other['folder'])
            for name in self._names()
            if (other := _read_if_live(os.path.join(self._folder, name)))
        )
        most = self._bytes_free() + staged
        if size > most:
            raise errors.StagingError(
                f'has {most} bytes free, with what copies use of it now, '
                f'and {size} are needed; {_HINT}'
            )

    def _bytes_free(self):
        state = os.statvfs(self._area)
        return state.f_bavail * state.f_frsize


class Reservation:
    """The right of one copy to some space, or its turn to get it.

    :param path: its file; made and locked
    :param folder: directory that the copy stages to
    """

    def __init__(self, path, folder):
        self.path = path
        self._folder = folder
        self._fd = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._write(None)

    def grant(self, size):
        """Let the copy write ``size`` bytes."""
        self._write(size)

    def release(self):
        """Give the space to others."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.close(self._fd)

    def _write(self, size):
        content = json.dumps({'size': size, 'folder': self._folder}).encode()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, content, 0)


def _give_up(ticket):
    if ticket is not None:
        ticket.release()


def _read_if_live(path):
    """Return what a reservation says; remove it if its process is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return json.loads(os.read(fd, 65536))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return None
    finally:
        os.close(fd)


def _bytes_in(folder):
    """Return the bytes that the files of a folder take on the disk."""
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_blocks * 512
    return total
