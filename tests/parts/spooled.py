# SPDX-License-Identifier: Apache-2.0

"""Looking at a spool as its followers do, and as the disk does."""

import os

from glance_copy_plugin.transfer import staged_reader


def files(folder):
    return sorted(folder.iterdir()) if folder.exists() else []


def held(folder):
    """Return how many bytes the staging folder holds on the disk."""
    total = 0
    for path in files(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            """Removed between the two looks."""
    return total


def take(follower, count):
    """Take ``count`` bytes, however many extents that needs."""
    taken = b''
    while len(taken) < count:
        extent = follower.extent(count - len(taken))
        taken += os.pread(extent.fd, extent.length, extent.offset)
        follower.took(extent.length)
    return taken


def read_all(spooled, name, step):
    """Read as a driver does, in steps of ``step``; then stop following."""
    follower = spooled.follower(name)
    source = staged_reader.StagedReader(follower)
    try:
        read = b''.join(iter(lambda: source.read(step), b''))
        assert source.finished
        return read
    finally:
        follower.close()
