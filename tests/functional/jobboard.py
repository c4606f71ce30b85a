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

"""What the tests of copies by workers share."""

import contextlib
import time

import pytest

from tests.functional import helpers
from tests.harness import redis
from tests.harness import worker as worker_

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
def started_board(folder):
    """Start a redis, or skip the tests."""
    try:
        with redis.Redis(folder) as board:
            yield board
    except redis.Unavailable as why:
        pytest.skip(str(why))


@contextlib.contextmanager
def workers(server, *names, **options):
    """Start a worker for each of these hosts; yield them."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(worker_.Worker(server, name, **options))
            for name in names
        ]


def jobs(board):
    """Return how many jobs are on the board."""
    with board.client() as client:
        return client.hlen(f'{NAMESPACE}:listings')


def owners(board):
    """Return the tokens of all claims."""
    with board.client() as client:
        keys = client.keys(f'{NAMESPACE}:*.owned')
        return [
            owner.decode() for owner in client.mget(keys) if owner
        ] if keys else []


def announced(board):
    """Return the ids of the processes that have said that they live."""
    with board.client() as client:
        keys = client.keys(f'{NAMESPACE}*worker.*')
    return {int(key.decode().rpartition(':')[2]) for key in keys}


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
