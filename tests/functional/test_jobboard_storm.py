# SPDX-License-Identifier: Apache-2.0

"""A longer storm: workers are killed and paused while they copy."""

import os
import random
import time

import pytest

from tests.functional import jobboard
from tests.functional import storm

pytestmark = pytest.mark.long

COPIES = 60
EVERY = 0.5
MOST = 30


@pytest.fixture(scope='module')
def board(each_board):
    return each_board


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'storm-{board.kind}', jobboard.settings(board, copiers=''),
        audit=True,
    )


def test_every_copy_ends_well_while_workers_are_killed_and_paused(
    server, board,
):
    seed = int(os.environ.get('SEED') or time.time())
    print(f'SEED={seed}')
    dice = random.Random(seed)  # noqa: S311
    wanted = storm.post(server, dice, COPIES)
    with jobboard.workers(server, 'host-a', 'host-b', 'host-c') as workers:
        done = storm.disturb(server, board, workers, EVERY, dice, MOST)
        assert done.total() >= 3
        given_up, wrong = storm.judge(server, board, wanted)
    assert wrong == []
    assert given_up < COPIES / 4
