# SPDX-License-Identifier: Apache-2.0

"""A service or a board that fails while a copy is being posted."""

import concurrent.futures
import contextlib
import os
import signal

import pytest
import requests

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import worker as worker_


@pytest.fixture(scope='module')
def switch(tmp_path_factory):
    return tmp_path_factory.mktemp('kill') / 'at'


@pytest.fixture(scope='module')
def server(start_glance, board, switch):
    return start_glance(
        f'posting-fails-{board.kind}',
        jobboard.settings(board, recovery_interval=0.5),
        audit=True,
        environment={'GLANCE_COPY_PLUGIN_KILL_FILE': str(switch)},
    )


@pytest.fixture
def client(server):
    return Client(server)


@pytest.mark.parametrize('place', [
    'accept-judged', 'accept-claimed', 'flow-asked', 'posted',
])
def test_a_service_that_dies_loses_no_copy_and_posts_none_twice(
    server, board, client, switch, place,
):
    image_id = client.create_image(helpers.data())
    switch.write_text(place)
    with contextlib.suppress(requests.ConnectionError):
        client.copy(image_id, ['s1'])
    helpers.wait_until(lambda: not switch.exists(), f'a kill at {place}')
    helpers.wait_until(
        lambda: not journal(server), 'an empty journal'
    )
    asked = server.tasks(image_id)
    assert jobboard.jobs(board) == len(asked)
    expected = ['src', 's1'] if asked else ['src']
    with worker_.Worker(server, 'host-a'):
        if asked:
            assert client.wait_copy(image_id)['status'] == 'success'
        jobboard.check(server, board, image_id, expected)


def test_a_board_that_dies_after_the_task_was_made_ends_it(
    server, board, client, switch,
):
    image_id = client.create_image(helpers.data())
    switch.write_text('flow-asked:1:stop')
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
    assert 'the board of copies' in task['message']
    jobboard.check(server, board, image_id, ['src'])


def journal(server):
    folder = server.staging / 'copy-image' / 'journal'
    return list(folder.iterdir()) if folder.exists() else []
