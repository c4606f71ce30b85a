# SPDX-License-Identifier: Apache-2.0

"""Workers of different hosts, which have different stores."""

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import worker as worker_


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'placing-{board.kind}', jobboard.settings(board), audit=True,
    )


@pytest.fixture(scope='module')
def edge(server):
    with worker_.Worker(server, 'edge', stores=['src', 's1']) as started:
        yield started


@pytest.fixture
def client(server):
    return Client(server)


def wait_message(server, task_id, words):
    helpers.wait_until(
        lambda: words in (helpers.message(server, task_id) or ''),
        f'a message with {words!r}',
    )


def test_a_copy_waits_for_a_worker_that_has_its_store(
    server, board, client, edge,
):
    image_id = client.create_image(helpers.data())
    task_id = helpers.start(client, image_id, ['s2', 's3'])
    wait_message(server, task_id, 'no worker that runs can write s2, s3')
    assert jobboard.jobs(board) == 1
    # It keeps nothing else waiting.
    other = client.create_image(helpers.data())
    assert helpers.copy(client, other, ['s1'])['status'] == 'success'
    with worker_.Worker(server, 'central', stores=['src', 's2', 's3']):
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
        jobboard.check(server, board, image_id, ['src', 's2', 's3'])
    assert image_id not in edge.log.read_text()


def test_a_copy_that_no_single_worker_can_make_says_so(
    server, board, client, edge,
):
    image_id = client.create_image(helpers.data())
    with worker_.Worker(server, 'central', stores=['src', 's2']):
        task_id = helpers.start(client, image_id, ['s1', 's2'])
        wait_message(server, task_id, 'would have to write s1, s2')
    with worker_.Worker(server, 'all'):
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
        jobboard.check(server, board, image_id, ['src', 's1', 's2'])


def test_a_worker_that_does_not_have_the_image_leaves_its_copy_to_others(
    server, board, client, edge,
):
    image_id = client.create_image(helpers.data(), store='s2')
    task_id = helpers.start(client, image_id, ['s1'])
    wait_message(server, task_id, 'has a store that holds the image (s2)')
    with worker_.Worker(server, 'all'):
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
        jobboard.check(server, board, image_id, ['s1', 's2'])
