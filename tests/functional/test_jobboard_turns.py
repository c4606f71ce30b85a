# SPDX-License-Identifier: Apache-2.0

"""Whose copies a worker makes first, when there are more than it can make."""

import re

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional import replicating
from tests.harness import Client

LOW = {'name': 'copy-image', 'priority': 'low'}


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'turns-{board.kind}', jobboard.settings(board), audit=True
    )


def client_of(server, project):
    return Client(server, f'user:{project}:admin,member,reader')


def post(server, project, count=1, **body):
    """Have a project post copies; return its images, oldest first."""
    client = client_of(server, project)
    found = []
    for _ in range(count):
        found.append(client.create_image(helpers.data(1000)))
        answer = client.copy(found[-1], ['s1'], **body)
        assert answer.status_code == 202, answer.text
    return found


def made(server, board, *names):
    """Return the images in the order in which one worker makes them.

    It makes one at a time. Returns when nothing waits any more.
    """
    with jobboard.workers(server, *names, concurrency=1) as workers:
        helpers.wait_until(lambda: jobboard.jobs(board) == 0, 'an empty board')
        server.invariants.assert_hold()
        (worker,) = workers
        return re.findall(
            'Carrying on with the copy of image ([0-9a-f-]+)',
            worker.log.read_text(),
        )


def test_one_copy_does_not_wait_behind_all_of_another_project(server, board):
    many = post(server, 'many', 4)
    single = post(server, 'single')
    assert made(server, board, 'fair') == [
        many[0], *single, *many[1:],
    ]


def test_what_is_asked_for_with_low_priority_waits_for_all_others(
    server, board,
):
    low = post(server, 'bulk', 3, method=LOW)
    usual = post(server, 'bulk', 2)
    other = post(server, 'other')
    assert made(server, board, 'urgent') == [
        usual[0], *other, usual[1], *low,
    ]


def test_the_priority_outlives_a_board_that_comes_back_empty(server, board):
    low = post(server, 'bulk', method=LOW)
    board.forget()
    client = client_of(server, 'bulk')
    usual = [client.create_image(helpers.data(1000))]
    # With ZooKeeper the service has to wait for the end of its old session.
    helpers.wait_until(
        lambda: client.copy(usual[0], ['s1']).status_code == 202,
        'an answer of the board to the service',
    )
    assert {
        job.details['image_id']: job.priority.value
        for job, _owner in jobboard.jobs_on(board)
    } == {usual[0]: 'NORMAL'}
    with jobboard.workers(server, 'again', stores=['src', 's2']):
        jobs = helpers.wait_until(
            lambda: [
                job for job, _owner in jobboard.jobs_on(board)
                if job.details['image_id'] == low[0]
            ], 'the forgotten job',
        )
        assert jobs[0].priority.value == 'LOW'
    assert made(server, board, 'last') == [*usual, *low]


def test_what_fill_asks_for_waits_for_what_users_ask_for(server, board):
    image_id = Client(server).create_image(helpers.data(1000))
    filling = replicating.start(
        'fill', 's1', '--server', server.url, '--token', replicating.ADMIN,
        '--id', image_id,
    )
    helpers.wait_until(lambda: jobboard.jobs(board) == 1, 'its job')
    usual = post(server, 'bulk')
    assert made(server, board, 'fill') == [*usual, image_id]
    done = replicating.finish(filling)
    assert done.by_image() == {image_id: 'copied'}, done
