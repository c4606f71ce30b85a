# SPDX-License-Identifier: Apache-2.0

"""What copies by workers depend on goes away for a while, in their middle."""

import concurrent.futures
import os
import signal

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import moments

pytestmark = pytest.mark.long

STORES = ['s1', 's2']
# Each store takes a second, one after the other.
SLOW = {
    'copiers': '', 'bandwidth_limit': 2 * MIB, 'staging_window': MIB,
    'max_parallel_stores': 1,
}
SIZE = 2 * MIB + 1
LOST = 'This worker has lost the claim'
LOW = {'name': 'copy-image', 'priority': 'low'}


@pytest.fixture(scope='module')
def board(each_board):
    return each_board


@pytest.fixture(scope='module')
def server(start_glance, board, switch):
    return start_glance(
        f'posting-outage-{board.kind}', jobboard.settings(board, **SLOW),
        audit=True, environment=moments.environment(switch),
    )


def begin(server, count=6):
    """Ask for copies; return ``{image: task}`` when some run and some wait.

    The first worker that there is makes two at a time.
    """
    client = Client(server)
    begun = {}
    for _ in range(count):
        image_id = client.create_image(helpers.data(SIZE))
        begun[image_id] = helpers.start(client, image_id, STORES)
    helpers.wait_until(
        lambda: any(
            len(helpers.rows(server, image_id)) > 1 for image_id in begun
        ), 'a store that is recorded',
    )
    return begun


def check_all(server, board, begun, timeout=120):
    """Check that each copy ended well, with one location for each store."""
    for image_id, task_id in begun.items():
        task = Client(server).wait_copy(image_id, task_id, timeout)
        assert task['status'] == 'success', task['message']
    for image_id in begun:
        jobboard.check(server, board, image_id, ['src', *STORES])


@pytest.mark.parametrize('way', ['hangs', 'refuses'])
def test_copies_outlive_a_board_that_does_not_answer(server, board, way):
    client = Client(server)
    with jobboard.workers(server, 'host-a', 'host-b') as workers:
        begun = begin(server)
        refused = client.create_image(helpers.data(SIZE))
        if way == 'hangs':
            board.pause()
        else:
            board.stop()
        try:
            assert client.copy(refused, STORES).status_code == 503
            # As long as claims last, and longer.
            helpers.wait_until(
                lambda: any(
                    LOST in each.log.read_text() for each in workers
                ), 'the end of a claim', timeout=120,
            )
        finally:
            if way == 'hangs':
                board.go_on()
            else:
                board.start()
        # With ZooKeeper the service has to wait for the end of its session.
        helpers.wait_until(
            lambda: client.copy(refused, STORES).status_code == 202,
            'an answer of the board to the service', timeout=120,
        )
        check_all(server, board, {refused: None, **begun})


def test_copies_outlive_a_board_that_comes_back_empty(server, board):
    with jobboard.workers(server, 'host-a'):
        begun = begin(server)
        board.forget()
        check_all(server, board, begun)


def test_what_an_empty_board_has_forgotten_is_posted_again(server, board):
    client = Client(server)
    image_id = client.create_image(helpers.data(SIZE))
    assert client.copy(image_id, STORES, method=LOW).status_code == 202
    ((forgotten, _owner),) = jobboard.jobs_on(board)
    board.forget()
    # It cannot make the copy. The service may post it again before.
    with jobboard.workers(server, 'host-a', stores=['src']):
        ((job, owner),) = helpers.wait_until(
            lambda: jobboard.jobs_on(board), 'the forgotten job',
        )
    assert job.created_on > forgotten.created_on
    assert (job.details.image_id, owner) == (image_id, None)
    assert job.details.priority.value == 'LOW'
    with jobboard.workers(server, 'host-b'):
        check_all(server, board, {image_id: None})


def test_copies_go_on_while_the_service_is_restarted(server, board):
    with jobboard.workers(server, 'host-a'):
        begun = begin(server)
        server.kill()
        helpers.wait_until(
            lambda: all(
                helpers.status(server, task_id) == 'success'
                for task_id in begun.values()
            ), 'the end of the copies',
        )
        server.start()
        check_all(server, board, begun)


def test_a_board_that_dies_after_the_task_was_made_ends_it(
    server, board, switch,
):
    client = Client(server)
    image_id = client.create_image(helpers.data())
    moments.order(switch, 'flow-asked', pause=True)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.copy, image_id, ['s1'])
        helpers.wait_until(lambda: not switch.exists(), 'a pause')
        board.kill()
        for pid in server.worker_pids:
            os.kill(pid, signal.SIGCONT)
        response = answer.result()
    assert response.status_code == 503, response.text
    board.start()
    assert client.copy_task(image_id) is None
    (task,) = server.tasks(image_id)
    assert task['status'] == 'failure'
    assert 'the jobboard' in task['message']
    jobboard.check(server, board, image_id, ['src'])
