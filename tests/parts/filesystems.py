# SPDX-License-Identifier: Apache-2.0

"""Real file systems that are small, full, read-only, or share blocks."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest


def _run(*command):
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )


def _mount(*arguments):
    if os.geteuid():
        pytest.skip('mounting a file system needs root')
    done = _run('mount', *map(str, arguments))
    if done.returncode:
        pytest.skip(f'no file system can be mounted here: {done.stdout}')


@contextlib.contextmanager
def small(size, folder=None):
    """Yield the folder of an empty file system of ``size`` bytes.

    :param folder: where to mount it; a new temporary folder if None
    """
    place = pathlib.Path(
        folder or tempfile.mkdtemp(prefix='copy-image-test-')
    )
    try:
        _mount('-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', place)
        try:
            yield place
        finally:
            _run('umount', '--lazy', str(place))
    finally:
        if folder is None:
            place.rmdir()


def make_read_only(folder):
    """Forbid writing to a mounted file system; also root's writing."""
    done = _run('mount', '-o', 'remount,ro', str(folder))
    assert not done.returncode, done.stdout


class Freezable:
    """A file system that can be made to hang.

    Who writes to it while it is frozen waits in the kernel, as with a server
    of files that is gone, and not even SIGKILL ends that.

    :param folder: where it is mounted
    """

    def __init__(self, folder):
        self.folder = folder
        self._frozen = False

    def freeze(self):
        done = _run('fsfreeze', '--freeze', str(self.folder))
        if done.returncode:
            pytest.skip(f'no file system can be frozen here: {done.stdout}')
        self._frozen = True

    def thaw(self):
        if self._frozen:
            self._frozen = False
            done = _run('fsfreeze', '--unfreeze', str(self.folder))
            assert not done.returncode, done.stdout


@contextlib.contextmanager
def freezable(size=128 * 1024 * 1024):
    """Yield a :class:`Freezable`, thawed at the end."""
    with _mounted(lambda disk: _make_ext4(disk, size)) as folder:
        made = Freezable(folder)
        try:
            yield made
        finally:
            made.thaw()


def _make_ext4(path, size):
    if not shutil.which('mkfs.ext4'):
        pytest.skip('mkfs.ext4 is not installed (Debian: e2fsprogs)')
    with open(path, 'wb') as file:
        file.truncate(size)
    done = _run('mkfs.ext4', '-q', '-m', '0', str(path))
    if done.returncode:
        pytest.skip(f'mkfs.ext4 does not work here: {done.stdout}')


def _make(path, size):
    for tool, options in (
        ('mkfs.xfs', ('-q', '-m', 'reflink=1')), ('mkfs.btrfs', ('-q',)),
    ):
        if shutil.which(tool):
            with open(path, 'wb') as file:
                file.truncate(size)
            done = _run(tool, *options, str(path))
            if done.returncode:
                pytest.skip(f'{tool} does not work here: {done.stdout}')
            return
    pytest.skip('neither mkfs.xfs nor mkfs.btrfs is installed')


@contextlib.contextmanager
def sharing_blocks():
    """Yield a folder of a file system that can share blocks (reflink)."""
    with _mounted(lambda disk: _make(disk, 320 * 1024 * 1024)) as folder:
        yield folder


@contextlib.contextmanager
def _mounted(make):
    """Mount what ``make(path)`` makes in a file; yield the folder."""
    top = pathlib.Path(tempfile.mkdtemp(prefix='copy-image-test-'))
    try:
        folder = top / 'mounted'
        folder.mkdir()
        make(top / 'disk')
        _mount('-o', 'loop', top / 'disk', folder)
        try:
            yield folder
        finally:
            _run('umount', '--lazy', str(folder))
    finally:
        shutil.rmtree(top, ignore_errors=True)
