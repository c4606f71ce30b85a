# SPDX-License-Identifier: Apache-2.0

"""A file system in a file, mounted for as long as it is needed."""

import contextlib
import os
import shutil
import subprocess

MAKERS = {
    'xfs': ['mkfs.xfs', '-q', '-m', 'reflink=1'],
    'btrfs': ['mkfs.btrfs', '-q'],
}


class Unavailable(Exception):
    """There can be no such file system here; the text says why."""


@contextlib.contextmanager
def mounted(folder, size):
    """Make and mount a file system that can share blocks.

    :param folder: where its file and its mount point are made
    :param size: how many bytes it has
    :returns: its name and its mount point
    """
    if os.geteuid() != 0:
        raise Unavailable('only root can mount a file system')
    names = [n for n, maker in MAKERS.items() if shutil.which(maker[0])]
    if not names:
        raise Unavailable(
            'there is no mkfs.xfs or mkfs.btrfs '
            '(Debian: apt-get install xfsprogs)'
        )
    name = names[0]
    image, place = folder / f'{name}.img', folder / name
    place.mkdir(parents=True, exist_ok=True)
    try:
        with image.open('wb') as stream:
            stream.truncate(size)
        _run([*MAKERS[name], image])
        _run(['mount', '-o', 'loop', image, place])
        try:
            yield name, place
        finally:
            _run(['umount', place])
    finally:
        image.unlink(missing_ok=True)
        place.rmdir()


def _run(command):
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Unavailable(f'{command[0]} says: {done.stdout.strip()}')
