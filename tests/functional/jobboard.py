# SPDX-License-Identifier: Apache-2.0

"""What the tests of copies by workers share."""

import contextlib

from glance_copy_plugin.jobboard import jobs as board_jobs
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


def making(board):
    """Return the ids of the processes that have claimed a copy."""
    return {
        int(owner.rpartition('/')[0].rpartition(':')[2])
        for owner in owners(board)
    }


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


def wait_expired(board):
    """Return when a claim that was not renewed since now has ended.

    What a worker says of itself lasts as long as a claim. (With ZooKeeper, as
    long as its connection.)
    """
    with contextlib.closing(
        board.board(namespace=NAMESPACE, expiry=EXPIRY)
    ) as asked:
        # The first one by name would have to look after what waits.
        asked.announce('~', board_jobs.Stores(names=(), writable=()))
        helpers.wait_until(
            lambda: '~' not in asked.workers(), 'the time of a claim'
        )
