# SPDX-License-Identifier: Apache-2.0
"""Limits that an operator sets, and quotas."""

import datetime

import pytest

from glance_copy_plugin.transfer import progress
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

TARGETS = ['s1', 's2', 's3']


@pytest.fixture(scope='module')
def one_by_one(start_glance):
    return start_glance(
        'one', {'copy_image': {'max_concurrent_copies': 1}}
    )


def phase(client, image_id, task_id):
    message = helpers.task_of(client, image_id, task_id)['message']
    found = progress.parse(message)
    return found and found['phase']


def wait_phase(client, image_id, task_id, wanted):
    helpers.wait_until(
        lambda: phase(client, image_id, task_id) == wanted,
        f'task {task_id} to be {wanted}',
    )


def test_more_copies_than_allowed_wait_for_their_turn(one_by_one, source):
    client = Client(one_by_one)
    held = [
        helpers.held_image(one_by_one, client, source) for _each in range(3)
    ]
    tasks = {}
    for image_id, _offer in held:
        tasks[image_id] = helpers.start(client, image_id, ['s1'])
        # The second and third are begun when the first holds the place.
        helpers.wait_until(
            lambda image_id=image_id: phase(
                client, image_id, tasks[image_id]),
            'a message',
        )
    (first, offer1), (second, offer2), (third, offer3) = held
    assert offer1.reached.wait(60)
    for waiting in (second, third):
        wait_phase(client, waiting, tasks[waiting], 'queued')
        message = helpers.task_of(client, waiting, tasks[waiting])['message']
        assert 'queued' in message
        image = client.image(waiting)
        assert helpers.named(image, helpers.IMPORTING) == {'s1'}
        assert image['status'] == 'active'
    assert not offer2.reached.is_set()
    assert not offer3.reached.is_set()
    offer1.release()
    assert client.wait_copy(first, tasks[first])['status'] == 'success'
    assert offer2.reached.wait(60)
    assert not offer3.reached.is_set()
    assert phase(client, third, tasks[third]) == 'queued'
    offer2.release()
    offer3.release()
    for image_id in (second, third):
        task = client.wait_copy(image_id, tasks[image_id])
        assert task['status'] == 'success', task['message']
    for image_id, _offer in held:
        helpers.assert_unlocked(one_by_one, client, image_id)
        helpers.assert_copied(one_by_one, client, image_id, ['s1'])


@pytest.mark.parametrize('ending', ['deleted', 'deactivated'])
def test_a_copy_that_waits_can_be_stopped(one_by_one, source, ending):
    client = Client(one_by_one)
    running, held = helpers.held_image(one_by_one, client, source)
    running_task = helpers.start(client, running, ['s1'])
    assert held.reached.wait(60)
    waiting = client.create_image(b'x')
    task_id = helpers.start(client, waiting, ['s1'])
    wait_phase(client, waiting, task_id, 'queued')
    if ending == 'deleted':
        client.delete(waiting)
    else:
        client.demand('POST', f'/images/{waiting}/actions/deactivate')
    helpers.wait_ended(one_by_one, task_id)
    assert helpers.status(one_by_one, task_id) == 'failure'
    assert ending in helpers.message(one_by_one, task_id)
    helpers.assert_untouched(one_by_one, waiting, ['s1'])
    assert helpers.status(one_by_one, running_task) == 'processing'
    held.release()
    assert client.wait_copy(running, running_task)['status'] == 'success'
    helpers.assert_copied(one_by_one, client, running, ['s1'])


def test_no_more_stores_than_allowed_are_written_at_once(start_glance):
    server = start_glance('two-stores', {'copy_image': {
        'max_parallel_stores': 2, 'bandwidth_limit': 2 * MIB,
    }})
    client = Client(server)
    image_id = client.create_image(helpers.data(4 * MIB))
    task_id = helpers.start(client, image_id, TARGETS)
    seen = []
    while (task := helpers.task_of(client, image_id, task_id))[
        'status'
    ] == 'processing':
        found = progress.parse(task['message'])
        if found and found['phase'] == 'copying':
            seen.append(sorted(
                entry['state'] for entry in found['stores'].values()
            ))
    assert task['status'] == 'success', task['message']
    assert ['copying', 'copying', 'queued'] in seen
    assert max(states.count('copying') for states in seen) == 2
    helpers.assert_copied(server, client, image_id, TARGETS)


def test_a_copy_takes_at_least_as_long_as_its_bandwidth_allows(slow):
    """4 MiB at 2 MiB/s: a lower bound, which no slow machine breaks."""
    client = Client(slow)
    image_id = client.create_image(helpers.data(4 * MIB))
    task = helpers.copy(client, image_id, ['s1'])
    assert task['status'] == 'success'
    begun, ended = (
        datetime.datetime.fromisoformat(task[name])
        for name in ('created_at', 'updated_at')
    )
    assert (ended - begun).total_seconds() > 1.5


@pytest.fixture(params=[
    {},
    {'taskflow_executor': {'engine_mode': 'serial'}},
    {'taskflow_executor': {'max_workers': 1}},
    {'taskflow_executor': {'max_workers': 2}},
    {'copy_image': {'max_parallel_stores': 1}},
], ids=['parallel', 'serial', 'one worker', 'two workers', 'one store'])
def windowed(request, start_glance, mount_tmpfs):
    """A server whose staging area has no room for more than the window.

    The journal of copies lies there too; its pages are less than a segment.
    Every store is streamed to, so that all of them follow the spool.
    """
    settings = {'copy_image': {'copiers': '', 'staging_window': MIB}}
    for group, values in request.param.items():
        settings.setdefault(group, {}).update(values)
    server = start_glance(
        'windowed', settings,
        store_dirs={'os_glance_staging_store': mount_tmpfs(MIB + 32768)},
    )
    yield server
    server.stop()


def test_staging_never_holds_more_than_the_window(windowed, source):
    client = Client(windowed)
    content = helpers.data(10 * MIB + 1)
    image_id = client.create_image(content)
    offer = source.offer(content)
    helpers.move(windowed, image_id, 'src', offer.url)
    task = helpers.copy(client, image_id, TARGETS)
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(windowed, client, image_id)
    helpers.assert_copied(windowed, client, image_id, TARGETS)


@pytest.fixture(scope='module')
def cramped(start_glance, mount_tmpfs):
    """A server with a staging area of 2 MiB and no window."""
    return start_glance(
        'cramped',
        store_dirs={'os_glance_staging_store': mount_tmpfs('2m')},
    )


def test_too_small_a_staging_area_fails_at_once_and_says_so(cramped, source):
    client = Client(cramped)
    content = helpers.data(4 * MIB)
    image_id = client.create_image(content)
    offer = source.offer(content, hold_at=0)
    helpers.move(cramped, image_id, 'src', offer.url)
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'failure'
    assert 'staging area' in task['message']
    assert 'staging_window' in task['message']
    assert 'Internal Error' not in task['message']
    assert not offer.reached.is_set()
    helpers.assert_unlocked(cramped, client, image_id, failed=['s1', 's2'])
    helpers.assert_untouched(cramped, image_id, ['s1', 's2'])


def test_a_local_image_needs_no_staging_area(cramped):
    client = Client(cramped)
    image_id = client.create_image(helpers.data(4 * MIB))
    assert helpers.copy(client, image_id, TARGETS)['status'] == 'success'
    helpers.assert_copied(cramped, client, image_id, TARGETS)


def test_a_staging_area_that_becomes_full_fails_the_copy(cramped, source):
    client = Client(cramped)
    content = helpers.data(3 * MIB // 2)
    image_id = client.create_image(content)
    offer = source.offer(content, hold_at=MIB)
    helpers.move(cramped, image_id, 'src', offer.url)
    task_id = helpers.start(client, image_id, ['s1'])
    assert offer.reached.wait(60)
    filler = cramped.staging / 'filler'
    filler.write_bytes(helpers.data(MIB))
    offer.release()
    task = client.wait_copy(image_id, task_id)
    filler.unlink()
    assert task['status'] == 'failure'
    assert 'staging area' in task['message']
    helpers.assert_unlocked(cramped, client, image_id, failed=['s1'])
    helpers.assert_untouched(cramped, image_id, ['s1'])


def test_a_staging_area_of_its_own_is_used(start_glance, tmp_path, source):
    folder = tmp_path / 'staging'
    server = start_glance(
        'own-staging', {'copy_image': {'staging_dir': folder}}
    )
    client = Client(server)
    image_id, held = helpers.held_image(server, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    assert held.reached.wait(60)
    helpers.wait_until(lambda: helpers.files(folder), 'a staged file')
    assert helpers.staged_files(server) == []
    held.release()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert helpers.files(folder) == []
    helpers.assert_copied(server, client, image_id, ['s1'])


def test_the_quota_of_a_user_is_respected_as_stock_does(start_glance):
    ends = []
    for plugin in (True, False):
        server = start_glance(
            'quota', {'DEFAULT': {'user_storage_quota': 5 * MIB}},
            plugin=plugin,
        )
        client = Client(server)
        image_id = client.create_image(helpers.data(2 * MIB))
        other = client.create_image(helpers.data(5 * MIB // 2))
        ends.append([
            helpers.copy(client, other, ['s1'])['status'],
            helpers.copy(client, image_id, ['s1'])['status'],
        ])
        if plugin:
            ours, refused = server, image_id
    assert ends == [['success', 'failure']] * 2
    client = Client(ours)
    (task,) = client.tasks(refused)
    assert 'quota' in task['message']
    assert 'Internal Error' not in task['message']
    helpers.assert_unlocked(ours, client, refused, failed=['s1'])
    helpers.assert_untouched(ours, refused, ['s1'])
