# SPDX-License-Identifier: Apache-2.0

"""Properties of the copies that this tool makes.

An unfinished copy bears a mark of the process that makes it. It tells another
process, or a later one, whether it may take the copy over.
"""

import dataclasses
import os
import socket

import psutil

UNFINISHED = 'glance_replicate_unfinished'
SOURCE = 'glance_replicate_source'
NAMES = frozenset((UNFINISHED, SOURCE))
_CLOCK = 2.0


@dataclasses.dataclass(frozen=True)
class Mark:
    """Which process copies which image.

    :param source: id of the image
    :param host: name of the machine that the process runs on
    :param pid: its process id
    :param started: its start, in seconds since the epoch
    """

    source: str
    host: str
    pid: int
    started: int

    def __str__(self):
        return f'{self.source} {self.host} {self.pid} {self.started}'

    @property
    def is_local(self):
        """True if the process runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_ours(self):
        """True if this process has made the mark."""
        return self.is_local and self.pid == os.getpid()

    def may_be_alive(self):
        """True unless the process has certainly ended."""
        if not self.is_local:
            return True
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        return abs(started - self.started) < _CLOCK


def new(source):
    """Return the mark of this process for a copy of an image."""
    return Mark(
        source, socket.gethostname(), os.getpid(),
        int(psutil.Process().create_time()),
    )


def parse(value):
    """Return the :class:`Mark` that a property's value is, or None."""
    parts = str(value or '').split(' ')
    try:
        source, host, pid, started = parts
        return Mark(source, host, int(pid), int(started))
    except ValueError:
        return None
