# SPDX-License-Identifier: Apache-2.0

"""A copy whose process is killed is finished, or leaves no trace.

Two workers of a real server share the host: when one is killed at a named
place, the other takes over.
"""

import psutil
import pytest

from tests.functional import helpers
from tests.functional import recovery
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import moments
from tests.harness.wsgi import gunicorn

STORES = recovery.STORES

# Bytes, locations or the lock would be lost or stay here, if anywhere.
RISKY = [
    'accept-claimed', 'begin-recorded', 'spool-written:3', 'import-written:2',
    'record-uncommitted:2', 'import-recorded', 'complete-unlocked',
]
EVERY_COPY = [
    'accept-judged', 'accept-answered', 'flow-asked', 'begin-called',
    'record-uncommitted', 'begin-started', 'plan-called', 'plan-made',
    'stage-started', 'stage-read', 'stage-read:4', 'stage-complete',
    'stage-approved', 'import-called', 'import-called:3', 'import-written',
    'record-uncommitted:4', 'import-recorded:3', 'import-acls-set',
    'import-notified', 'conclude-called', 'conclude-confirmed',
    'complete-called', 'complete-closed', 'complete-task-ended',
    'complete-forgotten', 'spool-segment-made', 'stream-read',
    'stream-read:40', 'stream-added', 'stream-added:3',
]
BY_COPIER = [
    'spool-borrowed', 'file-created', 'file-created:2', 'file-copied:3',
    'file-filled', 'file-synced', 'file-synced:3', 'file-renamed',
    'file-renamed:2',
]
RISKY_FAILING = ['take-back-unrecorded', 'take-back-removed']
FAILING = ['fail-called', 'fail-unlocked', 'fail-task-ended']
ENDING = [
    'conclude-called', 'complete-called', 'complete-closed',
    'complete-unlocked', 'complete-task-ended', 'complete-forgotten',
]


def long(places):
    """Return these as cases that take long."""
    return [pytest.param(place, marks=pytest.mark.long) for place in places]


@pytest.fixture(scope='module')
def servers(start_glance, tmp_path_factory):
    """Give a function that returns a server with two workers, and its switch.

    The switch is the file that says where a worker kills itself. The server
    loads Glance before it forks: another worker is there at once.
    """
    started = {}

    def get(name, settings):
        if name not in started:
            switch = tmp_path_factory.mktemp('kill') / 'at'
            server = start_glance(
                name,
                {'copy_image': {'recovery_interval': 0.5, **settings}},
                workers=2,
                environment=moments.environment(switch),
                wsgi=gunicorn.Gunicorn('--preload'),
            )
            started[name] = server, switch
        return started[name]

    return get


@pytest.fixture
def by_copier(servers):
    return servers('crash-copier', {})


@pytest.fixture
def by_stream(servers):
    return servers('crash-stream', {
        'copiers': '', 'max_parallel_stores': 2, 'staging_memory': 65536,
    })


def assert_finished(server, switch, place):
    image_id, answer = recovery.copy_and_kill(server, switch, place)
    tasks = recovery.wait_in_order(server, image_id)
    if answer is None and not tasks:
        # Killed before Glance made a task: the user was told nothing.
        recovery.check(server, image_id, ['src'])
        return
    assert [task['status'] for task in tasks] == ['success']
    recovery.check(server, image_id, ['src', *STORES])


@pytest.mark.parametrize('place', long(BY_COPIER))
def test_a_copy_inside_the_kernel_is_finished(by_copier, place):
    assert_finished(*by_copier, place)


@pytest.mark.parametrize('place', RISKY + long(EVERY_COPY))
def test_a_streamed_copy_is_finished(by_stream, place):
    assert_finished(*by_stream, place)


@pytest.fixture
def one_by_one(servers):
    """With a window, one store after the other as they were asked for.

    Something is there to be taken back when the last one fails.
    """
    return servers(
        'crash-failing', {'max_parallel_stores': 1, 'staging_window': MIB}
    )


@pytest.mark.parametrize('place', RISKY_FAILING + long(FAILING))
def test_a_copy_that_was_failing_leaves_nothing(one_by_one, place):
    server, switch = one_by_one
    with helpers.replaced_by_file(server.places['s3']):
        image_id, _answer = recovery.copy_and_kill(server, switch, place)
        tasks = recovery.wait_in_order(server, image_id)
    assert [task['status'] for task in tasks] == ['failure']
    assert 'Internal Error' not in tasks[0]['message']
    recovery.check(server, image_id, ['src'])


@pytest.mark.parametrize('place', long(ENDING))
def test_a_copy_that_may_miss_a_store_is_finished(one_by_one, place):
    server, switch = one_by_one
    with helpers.replaced_by_file(server.places['s3']):
        image_id, _answer = recovery.copy_and_kill(
            server, switch, place, all_stores_must_succeed=False
        )
        tasks = recovery.wait_in_order(server, image_id)
    assert [task['status'] for task in tasks] == ['success']
    recovery.check(server, image_id, ['src', 's1', 's2'], failed=['s3'])


def test_an_image_deleted_while_nobody_copies_leaves_nothing(by_stream):
    server, switch = by_stream
    image_id, _answer = recovery.copy_and_kill(
        server, switch, 'spool-written:3'
    )
    client = Client(server)
    helpers.wait_until(lambda: recovery.answers(client), 'an answer')
    client.delete(image_id)
    server.invariants.assert_hold()
    for store in ('src', *STORES):
        assert helpers.left_in(server, store, image_id) == []


def test_what_comes_back_while_it_is_taken_back_is_taken_back_again(
    one_by_one
):
    """A late save falls between the record's change and the data's end."""
    server, switch = one_by_one
    client = Client(server)
    image_id = client.create_image(helpers.data(1000))
    with helpers.replaced_by_file(server.places['s3']):
        moments.order(switch, 'take-back-unrecorded', pause=True)
        task_id = helpers.start(client, image_id, ['s1', 's3'])
        worker = helpers.wait_until(lambda: paused(server), 'a pause')
        try:
            assert set(helpers.rows(server, image_id)) == {'src'}
            server.execute(
                "UPDATE image_locations SET deleted = :no, deleted_at = NULL,"
                " status = 'active' WHERE image_id = :image",
                no=False, image=image_id,
            )
            assert set(helpers.rows(server, image_id)) == {'src', 's1'}
        finally:
            worker.resume()
        assert client.wait_copy(image_id, task_id)['status'] == 'failure'
    assert set(helpers.rows(server, image_id)) == {'src'}
    assert not server.store_file('s1', image_id).exists()
    server.invariants.assert_hold()


def paused(server):
    """Return the worker that has paused, if any has."""
    for worker in server.worker_processes():
        if worker.status() == psutil.STATUS_STOPPED:
            return worker
    return None


@pytest.fixture(scope='module')
def stopped(start_glance):
    """A server that copies slowly, to be stopped and started again."""
    return start_glance('restart', {
        'copy_image': {
            'bandwidth_limit': MIB, 'recovery_interval': 0.5,
            'max_parallel_stores': 1, 'staging_window': MIB,
        },
        'wsgi': {'task_pool_threads': 1},
    })


def test_a_copy_that_was_ended_while_nobody_copied_is_taken_back(stopped):
    client = Client(stopped)
    image_id = client.create_image(helpers.data(2 * MIB))
    task_id = helpers.start(client, image_id, STORES)
    helpers.wait_until(
        lambda: len(stopped.locations(image_id)) > 1, 'a store with the image'
    )
    stopped.kill()
    stopped.execute(
        "UPDATE tasks SET status = 'failure' WHERE id = :id", id=task_id
    )
    stopped.start()
    recovery.wait_in_order(stopped, image_id)
    recovery.check(stopped, image_id, ['src'])


def test_a_stopped_service_leaves_its_copies_to_the_next(stopped):
    client = Client(stopped)
    # As the first copy takes at least so many seconds, both are under way.
    running = client.create_image(helpers.data(20 * MIB))
    waiting = client.create_image(helpers.data(MIB))
    task_id = helpers.start(client, running, STORES)
    assert client.copy(waiting, STORES).status_code == 202
    stopped.stop(timeout=60)
    assert stopped.returncode == 0
    tasks = [*stopped.tasks(running), *stopped.tasks(waiting)]
    assert {task['status'] for task in tasks} <= {'pending', 'processing'}
    assert tasks[0]['id'] == task_id
    for image_id in (running, waiting):
        assert f'{image_id} is left to the next' in helpers.log_of(stopped)
        assert recovery.entry_of(stopped, image_id).exists()
    stopped.configure('copy_image', bandwidth_limit=64 * MIB)
    stopped.start()
    for image_id, task in zip((running, waiting), tasks, strict=True):
        (ended,) = recovery.wait_in_order(stopped, image_id)
        assert (ended['id'], ended['status']) == (task['id'], 'success')
        recovery.check(stopped, image_id, ['src', *STORES])
