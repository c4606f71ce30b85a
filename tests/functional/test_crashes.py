# SPDX-License-Identifier: Apache-2.0

"""A copy whose process is killed is finished, or leaves no trace.

Two workers of a real server share the host: when one is killed at a named
place, the other takes over.
"""

import pytest

from tests.functional import helpers
from tests.functional import recovery
from tests.functional.helpers import MIB
from tests.harness import Client

STORES = recovery.STORES

EVERY_COPY = [
    'accept-judged', 'accept-claimed', 'accept-answered', 'flow-asked',
    'begin-called', 'record-uncommitted', 'record-committed',
    'begin-recorded', 'begin-started', 'plan-called', 'plan-made',
    'stage-started', 'stage-read', 'stage-read:4', 'stage-complete',
    'stage-approved', 'import-called', 'import-called:3', 'import-written',
    'import-written:2', 'record-uncommitted:2', 'record-committed:2',
    'record-uncommitted:4', 'import-recorded', 'import-recorded:3',
    'import-acls-set', 'import-notified', 'conclude-called',
    'conclude-confirmed', 'complete-called', 'complete-closed',
    'complete-unlocked', 'complete-task-ended', 'complete-forgotten',
]
BY_COPIER = [
    'spool-borrowed', 'file-created', 'file-created:2', 'file-copied:3',
    'file-filled', 'file-synced', 'file-synced:3', 'file-renamed',
    'file-renamed:2',
]
BY_STREAM = [
    'spool-segment-made', 'spool-written:3', 'stream-read', 'stream-read:40',
    'stream-added', 'stream-added:3',
]
FAILING = [
    'fail-called', 'take-back-unrecorded', 'take-back-removed',
    'fail-unlocked', 'fail-task-ended',
]

ENDING = [
    'conclude-called', 'complete-called', 'complete-closed',
    'complete-unlocked', 'complete-task-ended', 'complete-forgotten',
]


@pytest.fixture(scope='module')
def servers(start_glance, tmp_path_factory):
    """Give a function that returns a server with two workers, and its switch.

    The switch is the file that says where a worker kills itself.
    """
    started = {}

    def get(name, settings):
        if name not in started:
            switch = tmp_path_factory.mktemp('kill') / 'at'
            server = start_glance(
                name,
                {'copy_image': {'recovery_interval': 0.5, **settings}},
                workers=2,
                environment={'GLANCE_COPY_PLUGIN_KILL_FILE': str(switch)},
            )
            started[name] = server, switch
        return started[name]

    return get


@pytest.fixture
def by_copier(servers):
    return servers('crash-copier', {})


@pytest.fixture
def by_stream(servers):
    return servers('crash-stream', {'copiers': ''})


def assert_finished(server, switch, place):
    image_id, answer = recovery.copy_and_kill(server, switch, place)
    tasks = recovery.wait_in_order(server, image_id)
    if answer is None and not tasks:
        # Killed before Glance made a task: the user was told nothing.
        recovery.check(server, image_id, ['src'])
        return
    assert [task['status'] for task in tasks] == ['success']
    recovery.check(server, image_id, ['src', *STORES])


@pytest.mark.parametrize('place', EVERY_COPY + BY_COPIER)
def test_a_copy_inside_the_kernel_is_finished(by_copier, place):
    assert_finished(*by_copier, place)


@pytest.mark.parametrize('place', EVERY_COPY + BY_STREAM)
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


@pytest.mark.parametrize('place', FAILING)
def test_a_copy_that_was_failing_leaves_nothing(one_by_one, place):
    server, switch = one_by_one
    with helpers.replaced_by_file(server.places['s3']):
        image_id, _answer = recovery.copy_and_kill(server, switch, place)
        tasks = recovery.wait_in_order(server, image_id)
    assert [task['status'] for task in tasks] == ['failure']
    assert 'Internal Error' not in tasks[0]['message']
    recovery.check(server, image_id, ['src'])


@pytest.mark.parametrize('place', ENDING)
def test_a_copy_that_may_miss_a_store_is_finished(one_by_one, place):
    server, switch = one_by_one
    with helpers.replaced_by_file(server.places['s3']):
        image_id, _answer = recovery.copy_and_kill(
            server, switch, place, all_stores_must_succeed=False
        )
        tasks = recovery.wait_in_order(server, image_id)
    assert [task['status'] for task in tasks] == ['success']
    recovery.check(server, image_id, ['src', 's1', 's2'], failed=['s3'])


@pytest.mark.parametrize('way, place', [
    ('by_copier', 'file-renamed:2'), ('by_stream', 'spool-written:3'),
])
def test_an_image_deleted_while_nobody_copies_leaves_nothing(
    request, way, place
):
    server, switch = request.getfixturevalue(way)
    image_id, _answer = recovery.copy_and_kill(server, switch, place)
    client = Client(server)
    helpers.wait_until(lambda: recovery.answers(client), 'an answer')
    client.delete(image_id)
    server.invariants.assert_hold()
    for store in ('src', *STORES):
        assert helpers.left_in(server, store, image_id) == []


def test_a_stopped_service_leaves_its_copies_to_the_next(start_glance):
    server = start_glance(
        'restart',
        {
            'copy_image': {'bandwidth_limit': MIB, 'recovery_interval': 5},
            'wsgi': {'task_pool_threads': 1},
        },
    )
    client = Client(server)
    running = client.create_image(helpers.data(6 * MIB))
    waiting = client.create_image(helpers.data(MIB))
    task_id = helpers.start(client, running, STORES)
    assert client.copy(waiting, STORES).status_code == 202
    server.stop(timeout=20)
    assert server.returncode == 0
    tasks = [*server.tasks(running), *server.tasks(waiting)]
    assert {task['status'] for task in tasks} <= {'pending', 'processing'}
    assert tasks[0]['id'] == task_id
    for image_id in (running, waiting):
        assert f'{image_id} is left to the next' in helpers.log_of(server)
        assert recovery.entry_of(server, image_id).exists()
    server.configure('copy_image', bandwidth_limit=64 * MIB)
    server.start()
    for image_id, task in zip((running, waiting), tasks, strict=True):
        (ended,) = recovery.wait_in_order(server, image_id)
        assert (ended['id'], ended['status']) == (task['id'], 'success')
        recovery.check(server, image_id, ['src', *STORES])


def test_a_copy_that_was_ended_while_nobody_copied_is_taken_back(
    start_glance
):
    server = start_glance('ended', {'copy_image': {
        'bandwidth_limit': 4 * MIB, 'recovery_interval': 0.5,
        'max_parallel_stores': 1, 'staging_window': MIB,
    }})
    client = Client(server)
    image_id = client.create_image(helpers.data(6 * MIB))
    task_id = helpers.start(client, image_id, STORES)
    helpers.wait_until(
        lambda: len(server.locations(image_id)) > 1, 'a store with the image'
    )
    server.kill()
    server.execute(
        "UPDATE tasks SET status = 'failure' WHERE id = :id", id=task_id
    )
    server.start()
    recovery.wait_in_order(server, image_id)
    recovery.check(server, image_id, ['src'])
