# SPDX-License-Identifier: Apache-2.0

"""Workers that die, pause or are stopped in the middle of copies."""

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import moments
from tests.harness import postgres
from tests.harness import worker as worker_

pytestmark = pytest.mark.long

STORES = ['s1', 's2', 's3']
# One store after the other, a second each.
SLOW = {
    'copiers': '', 'bandwidth_limit': 4 * MIB, 'staging_window': MIB,
    'max_parallel_stores': 1,
}
SIZE = 4 * MIB + 1
# Which write to the record is the last: one begins, and each store has one.
END = 1 + len(STORES) + 1
WAITING = (
    "SELECT count(*) AS waiting FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'posting-slow-{board.kind}', jobboard.settings(board, **SLOW),
        audit=True,
    )


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def make_worker(server):
    """Give a function that starts a worker until the test ends."""
    started = []

    def make(name, **options):
        started.append(worker_.Worker(server, name, **options))
        return started[-1].start()

    yield make
    for each in started:
        each.kill()


def begin(server, client, stored=1):
    """Ask for a copy; return its image and task when it is half done."""
    return helpers.start_and_wait_stored(client, server, SIZE, STORES, stored)


def test_another_worker_finishes_what_a_killed_one_has_begun(
    server, board, client, make_worker,
):
    first = make_worker('host-a')
    image_id, task_id = begin(server, client)
    first.kill()
    kept = server.store_file('s1', image_id).stat().st_ino
    make_worker('host-b')
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    # What was recorded is not copied again.
    assert server.store_file('s1', image_id).stat().st_ino == kept
    jobboard.check(server, board, image_id, ['src', *STORES])


@pytest.fixture
def switch(tmp_path):
    return tmp_path / 'at'


@pytest.fixture
def pause_at(server, board, client, make_worker, switch):
    """Give a function that begins a copy and pauses its worker somewhere.

    It returns the worker, the image and the task when the claim has expired.
    """
    def pause(place):
        worker = make_worker(
            'host-a',
            environment=moments.environment(switch),
        )
        image_id = client.create_image(helpers.data(SIZE))
        moments.order(switch, place, pause=True)
        task_id = helpers.start(client, image_id, STORES)
        helpers.wait_until(lambda: not switch.exists(), f'a pause at {place}')
        jobboard.wait_expired(board)
        return worker, image_id, task_id

    return pause


def assert_left(worker, image_id):
    helpers.wait_until(
        lambda: f'{image_id} is left to the next process'
        in worker.log.read_text(),
        'the end of the paused copy',
    )


@pytest.mark.parametrize('place', [
    'stream-read:3', 'complete-called',
    # While the image's row is locked.
    'record-uncommitted:2',
])
def test_a_worker_that_wakes_up_after_the_copy_has_ended_changes_nothing(
    server, board, client, make_worker, pause_at, place,
):
    paused, image_id, task_id = pause_at(place)
    make_worker('host-b')
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    helpers.wait_until(lambda: jobboard.jobs(board) == 0, 'an empty board')
    before = state(server, image_id)
    paused.go_on()
    assert_left(paused, image_id)
    assert state(server, image_id) == before
    jobboard.check(server, board, image_id, ['src', *STORES])


@pytest.mark.parametrize('place', [
    'stream-read:3',
    # While the image's row is locked.
    'record-uncommitted:2',
])
def test_a_worker_that_wakes_up_beside_the_next_one_does_it_no_harm(
    server, board, client, make_worker, pause_at, place,
):
    paused, image_id, task_id = pause_at(place)
    other = make_worker('host-b')
    helpers.wait_until(
        lambda: f'Carrying on with the copy of image {image_id}'
        in other.log.read_text(),
        'another worker',
    )
    paused.go_on()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert_left(paused, image_id)
    jobboard.check(server, board, image_id, ['src', *STORES])
    helpers.assert_copied(server, client, image_id, STORES)


def test_a_worker_that_wakes_up_with_the_end_in_its_hand_has_ended_the_copy(
    server, board, client, make_worker, pause_at,
):
    other = make_worker('host-b')
    helpers.wait_until(
        lambda: {each.pid for each in other.processes()}
        & jobboard.announced(board), 'the other worker',
    )
    # Loaded before: the database ends what is paused too long.
    other.pause()
    paused, image_id, task_id = pause_at(f'record-uncommitted:{END}')
    other.go_on()
    helpers.wait_until(
        lambda: server.execute(WAITING)[0]['waiting'],
        'another worker at the locked image',
    )
    paused.go_on()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    jobboard.check(server, board, image_id, ['src', *STORES])
    assert 'failed' not in other.log.read_text()


def test_a_worker_that_wakes_up_for_a_deleted_image_leaves_no_data(
    server, board, client, make_worker, pause_at,
):
    paused, image_id, task_id = pause_at('stream-read:3')
    make_worker('host-b')
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    helpers.wait_until(lambda: jobboard.jobs(board) == 0, 'an empty board')
    client.delete(image_id)
    paused.go_on()
    assert_left(paused, image_id)
    helpers.wait_until(
        lambda: not any(
            helpers.left_in(server, store, image_id) for store in STORES
        ), 'the data to be gone',
    )
    server.invariants.assert_hold()


def test_a_copy_that_takes_longer_than_a_claim_stays_with_its_worker(
    server, board, client, make_worker,
):
    make_worker('host-a')
    make_worker('host-b')
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        task_id = helpers.start(client, image_id, STORES)
        assert offer.reached.wait(60)
        (owner,) = jobboard.owners(board)
        jobboard.wait_expired(board)
        assert jobboard.owners(board) == [owner]
        offer.release()
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
    jobboard.check(server, board, image_id, ['web', *STORES])


def state(server, image_id):
    """Return the locations, and which files they are."""
    return helpers.rows(server, image_id), [
        server.store_file(store, image_id).stat().st_ino for store in STORES
    ]


def test_a_copy_that_kills_its_workers_is_failed_after_three_of_them(
    server, board, client, make_worker, switch,
):
    make_worker(
        'host-a', environment=moments.environment(switch),
    )
    image_id = client.create_image(helpers.data(SIZE))
    moments.order(switch, 'import-written')
    task_id = helpers.start(client, image_id, STORES)
    for _ in range(2):
        helpers.wait_until(lambda: not switch.exists(), 'a kill')
        moments.order(switch, 'import-written')
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'failure'
    assert 'interrupted again and again' in task['message']
    jobboard.check(server, board, image_id, ['src'])


@pytest.fixture
def on_its_own_database(make_glance, board):
    """A server whose database can be stopped, and that database."""
    try:
        database = postgres.Postgres().start()
    except postgres.Unavailable as why:
        pytest.skip(str(why))
    with database, make_glance(
        'posting-database', jobboard.settings(board, **SLOW),
        database_url=database.url('glance'),
    ) as server:
        yield server, database


def test_copies_outlive_a_restart_of_the_database(on_its_own_database, board):
    server, database = on_its_own_database
    client = Client(server)
    waiting = client.create_image(helpers.data(SIZE))
    with jobboard.workers(server, 'host-a', concurrency=1):
        image_id, _task_id = begin(server, client)
        assert client.copy(waiting, STORES).status_code == 202
        with database.stopped():
            jobboard.wait_expired(board)
        for each in (image_id, waiting):
            assert client.wait_copy(each)['status'] == 'success'
        for each in (image_id, waiting):
            jobboard.check(server, board, each, ['src', *STORES])
