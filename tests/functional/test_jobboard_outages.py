# SPDX-License-Identifier: Apache-2.0

"""What copies by workers depend on goes away for a while, in their middle."""

import threading

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import postgres

STORES = ['s1', 's2']
# Each store takes a second, one after the other.
SLOW = {
    'copiers': '', 'bandwidth_limit': 2 * MIB, 'staging_window': MIB,
    'max_parallel_stores': 1,
}
SIZE = 2 * MIB + 1
# Both longer than a claim lasts; as much as that is looked at once.
SECONDS = {'hangs': 30, 'refuses': 2 * jobboard.EXPIRY}


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'posting-outage-{board.kind}', jobboard.settings(board, **SLOW),
        workers=2, audit=True,
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


def stay_away(seconds):
    threading.Event().wait(seconds)


@pytest.mark.parametrize('way', ['hangs', 'refuses'])
def test_copies_outlive_a_board_that_does_not_answer(server, board, way):
    client = Client(server)
    with jobboard.workers(server, 'host-a', 'host-b'):
        begun = begin(server)
        refused = client.create_image(helpers.data(SIZE))
        if way == 'hangs':
            board.pause()
        else:
            board.stop()
        try:
            assert client.copy(refused, STORES).status_code == 503
            stay_away(SECONDS[way])
        finally:
            if way == 'hangs':
                board.go_on()
            else:
                board.start()
        assert helpers.copy(client, refused, STORES)['status'] == 'success'
        check_all(server, board, {refused: None, **begun})


def test_copies_outlive_a_board_that_comes_back_empty(server, board):
    with jobboard.workers(server, 'host-a'):
        begun = begin(server)
        board.forget()
        check_all(server, board, begun)


def test_what_an_empty_board_has_forgotten_is_posted_when_a_worker_comes(
    server, board,
):
    client = Client(server)
    image_id = client.create_image(helpers.data(SIZE))
    assert client.copy(image_id, STORES).status_code == 202
    board.forget()
    assert jobboard.jobs(board) == 0
    with jobboard.workers(server, 'host-a'):
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


@pytest.fixture
def on_its_own_database(make_glance, board):
    """A server whose database can be stopped, and that database."""
    try:
        database = postgres.Postgres().start()
    except postgres.Unavailable as why:
        pytest.skip(str(why))
    with database, make_glance(
        f'posting-database-{board.kind}', jobboard.settings(board, **SLOW),
        database_url=database.url('glance'),
    ) as server:
        assert isinstance(server, GlanceServer)
        yield server, database


def test_copies_outlive_a_restart_of_the_database(on_its_own_database, board):
    server, database = on_its_own_database
    with jobboard.workers(server, 'host-a', 'host-b'):
        begun = begin(server)
        with database.stopped():
            stay_away(2 * jobboard.EXPIRY)
        check_all(server, board, begun)
