# SPDX-License-Identifier: Apache-2.0

"""The conductor on a real board: what becomes of a claim, and when."""

from concurrent import futures
import uuid

import pytest
from taskflow.jobs import base

from glance_copy_plugin.jobboard import conductor as conductor_
from glance_copy_plugin.jobboard import details
from glance_copy_plugin.jobboard import keeper
from glance_copy_plugin.jobboard import placement
from tests.parts import boards

DETAILS = details.Details(
    image_id='image', task_id=str(uuid.uuid4()), request_id='request',
    stores=('s1',), sources=('src',), project_id='p', user_id='u',
    priority=base.JobPriority.NORMAL,
)
STORES = placement.Stores(names=('src', 's1'), writable=('s1',))


@pytest.fixture
def board(tmp_path):
    with boards.started('redis', tmp_path) as server:
        found = server.board()
        found.post(DETAILS)
        yield found


@pytest.fixture
def conductor(board):
    return conductor_.CopyConductor(
        'a', board, keeper.Keeper(board.expiry), STORES, 1
    )


def claimed(board, conductor):
    """Claim the only job; return it."""
    ((job, _owner),) = board.jobs()
    conductor._queue.claim(job, 'a')
    return job


@pytest.mark.parametrize('carried_on', [True, False])
def test_the_end_of_an_earlier_try_leaves_the_next_claim_alone(
    board, conductor, carried_on,
):
    job = claimed(board, conductor)
    earlier = futures.Future()
    earlier.set_result(carried_on)
    conductor._on_job_done(job, earlier)
    ((_job, owner),) = board.jobs()
    assert owner.startswith('a/')
    assert not conductor._queue.claim_of(job).ended


def test_a_job_that_another_thread_has_taken_up_is_not_given_back(
    board, conductor,
):
    job = claimed(board, conductor)
    claim = conductor._queue.claim_of(job)
    conductor._try_finish_job(job, False)
    assert not claim.ended
    assert None not in [owner for _job, owner in board.jobs()]


def test_a_job_for_which_there_is_no_thread_is_given_back(board, conductor):
    job = claimed(board, conductor)
    conductor._try_finish_job(job, False)
    assert [owner for _job, owner in board.jobs()] == [None]
    # Should its thread come all the same.
    assert not conductor._dispatch_job(job)
    assert [owner for _job, owner in board.jobs()] == [None]
