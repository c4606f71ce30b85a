# SPDX-License-Identifier: Apache-2.0

"""Properties that tell the copies of this tool from other images.

A copy that is not finished bears the mark of the process that makes it, so
that another process, or a later one, knows what it may do with it.
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
    """Who copies what.

    :param source: id of the image that is copied
    :param host: name of the machine of the process
    :param pid: its process id
    :param started: when it was started, in seconds since the epoch
    """

    source: str
    host: str
    pid: int
    started: int

    def __str__(self):
        return f'{self.source} {self.host} {self.pid} {self.started}'

    @property
    def is_ours(self):
        """True if this very process has made it."""
        return (self.host, self.pid) == (socket.gethostname(), os.getpid())

    def may_be_alive(self):
        """True unless it is certain that the process has ended."""
        if self.host != socket.gethostname():
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
