# SPDX-License-Identifier: Apache-2.0

"""What the tests of copies by workers share."""

import contextlib
import time

from tests.functional import helpers
from tests.harness import worker as worker_

# The user of etcd may touch what begins so.
NAMESPACE = 'test-copies'
# As short as allowed: a dead worker's copies go on this much later.
EXPIRY = 4


def settings(board, **more):
    """Return ``[copy_image]`` for a server whose copies workers make."""
    return {
        'copy_image': {
            'jobboard_connection': board.url,
            'jobboard_password': board.password,
            'jobboard_namespace': NAMESPACE,
            'jobboard_claim_expiry': EXPIRY,
            **more,
        },
        'DEFAULT': {'graceful_shutdown_timeout': 20},
    }


@contextlib.contextmanager
def workers(server, *names, **options):
    """Start a worker for each of these hosts; yield them."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(worker_.Worker(server, name, **options))
            for name in names
        ]


def jobs_on(board):
    """Return (job, owner or None) for each job on the board."""
    with contextlib.closing(board.board(namespace=NAMESPACE)) as asked:
        return asked.jobs()


def jobs(board):
    """Return how many jobs are on the board."""
    return len(jobs_on(board))


def owners(board):
    """Return the tokens of all claims."""
    return [owner for _job, owner in jobs_on(board) if owner is not None]


def announced(board):
    """Return the ids of the processes that have said that they live."""
    with contextlib.closing(board.board(namespace=NAMESPACE)) as asked:
        names = asked.workers()
    return {int(name.rpartition(':')[2]) for name in names}


def check(server, board, image_id, stores):
    """Check that exactly these stores hold the image, and nothing is left."""
    helpers.wait_until(lambda: jobs(board) == 0, 'an empty board')
    server.invariants.assert_hold()
    assert set(helpers.rows(server, image_id)) == set(stores)


def wait_expired():
    """Return when a claim that is not renewed has expired for certain."""
    deadline = time.monotonic() + EXPIRY + 1
    helpers.wait_until(
        lambda: time.monotonic() > deadline, 'the expiry of a claim'
    )
