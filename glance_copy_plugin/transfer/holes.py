# SPDX-License-Identifier: Apache-2.0

"""Runs of zeroes: where a file has nothing on the disk, and in memory."""

import errno
import os


def next_data(fd, offset, count):
    """Return where data begins at or after ``offset``, within ``count``.

    :returns: the end of the file, or of the range, if nothing but a hole
        comes before it
    """
    try:
        return min(os.lseek(fd, offset, os.SEEK_DATA), offset + count)
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            return min(os.fstat(fd).st_size, offset + count)
        raise


def is_zero(data):
    """Tell whether there are only zeroes in some bytes, at least one."""
    if data[0] or data[-1]:
        return False
    # A view itself is compared item by item, which takes much longer.
    return bytes(data) == bytes(len(data))
