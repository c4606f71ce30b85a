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
    top = pathlib.Path(tempfile.mkdtemp(prefix='copy-image-test-'))
    try:
        folder = top / 'mounted'
        folder.mkdir()
        _make(top / 'disk', 320 * 1024 * 1024)
        _mount('-o', 'loop', top / 'disk', folder)
        try:
            yield folder
        finally:
            _run('umount', '--lazy', str(folder))
    finally:
        shutil.rmtree(top, ignore_errors=True)
