# SPDX-License-Identifier: Apache-2.0

"""Real boards of each kind, started when a test first needs them."""

import contextlib
import sys

import pytest

from tests.harness import boards
from tests.irods_server import certificate

KINDS = (
    'redis',
    pytest.param('etcd', marks=pytest.mark.long),
    pytest.param('zookeeper', marks=pytest.mark.long),
)
# What is no job, no owner of one, and no worker.
NO_JOBS = [
    'nonsense', [], {}, 7,
    {'uuid': 'u', 'name': 'n', 'details': {}, 'sequence': 1,
     'created_on': 'now', 'priority': 'ABC'},
    {'uuid': 'u', 'name': 'n', 'details': {}, 'sequence': 1,
     'created_on': 'now', 'priority': 'NORMAL'},
    {'uuid': 'u', 'name': 'n', 'details': {}, 'sequence': 1,
     'created_on': 'now', 'priority': None},
]
NO_OWNERS = [
    b'', b'\xff', b'nonsense', b'[]', b'7', b'{}', b'{"owner": []}',
    b'{"owner": null}', b'{"owner": ""}', b'{"owner": "\\u001b[2J"}', b'\x1b',
]
NO_WORKERS = [
    b'', b'\xff', b'nonsense', b'[]', b'7', b'{}',
    b'{"names": null, "writable": []}', b'{"names": [], "writable": 7}',
    b'{"names": ["\\u001b[2J"], "writable": []}',
    b'{"names": [], "writable": ["\\u001b[2J"]}',
]


def server_of(kind, folder, encrypted=False):
    """Return a server that has not been started; skip if there can be none.

    :param kind: ``redis``, ``etcd`` or ``zookeeper``
    """
    module = pytest.importorskip(
        f'tests.harness.{kind}', reason=f'the library for {kind} is missing'
    )
    files = None
    if encrypted:
        certificate.make(folder)
        files = folder / 'server.crt', folder / 'server.key'
    return getattr(module, kind.capitalize())(folder, files)


@contextlib.contextmanager
def started(kind, folder, encrypted=False):
    """Start a server of that kind, or skip the test."""
    try:
        with server_of(kind, folder, encrypted) as server:
            yield server
    except boards.Unavailable as why:
        pytest.skip(str(why))


# Claims the only job and announces itself; says so; waits for a line; tells
# then whether the job is still its own.
_OTHER = """
import json, sys
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.options import jobboard
given = json.loads(sys.stdin.readline())
given['hosts'] = [tuple(each) for each in given['hosts']]
mine = board_client.Board(jobboard.JobboardOptions(**given))
((job, _owner),) = mine.jobs()
mine.announce('other', jobs.Stores(names=(), writable=()))
print(mine.claim(job, 'other/1'), flush=True)
sys.stdin.readline()
while True:
    try:
        print(mine.is_owner(job, 'other/1'), flush=True)
        break
    except board_client.JobboardUnreachable:
        # Its connection may have ended while it was paused.
        pass
"""


def other_process():
    """Return the command of a process that claims a job."""
    return [sys.executable, '-W', 'ignore', '-c', _OTHER]
