# SPDX-License-Identifier: Apache-2.0
"""What an operator sets: limits, quotas, policies and folders."""

import hashlib
import stat

import pytest

from glance_copy_plugin.transfer import progress
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import MEMBER

pytestmark = pytest.mark.functional

TARGETS = ['s1', 's2', 's3']
QUOTA = 1024 * MIB


@pytest.fixture(scope='module')
def custom(start_glance, tmp_path_factory):
    """A server with all that does not disturb one another."""
    folder = tmp_path_factory.mktemp('custom')
    rules = folder / 'policy.yaml'
    rules.write_text(
        '"copy_image": "role:admin or project_id:%(project_id)s"\n'
    )
    return start_glance('custom', {
        'DEFAULT': {
            'hashing_algorithm': 'sha256', 'user_storage_quota': QUOTA,
        },
        'copy_image': {
            'max_concurrent_copies': 1, 'max_parallel_stores': 2,
            'all_stores': 'missing', 'staging_dir': folder / 'staging',
            'staging_memory': 65536,
        },
        'oslo_policy': {'policy_file': rules},
    })


def phase(client, image_id, task_id):
    message = helpers.task_of(client, image_id, task_id)['message']
    found = progress.parse(message)
    return found and found['phase']


def wait_phase(client, image_id, task_id, wanted):
    helpers.wait_until(
        lambda: phase(client, image_id, task_id) == wanted,
        f'task {task_id} to be {wanted}',
    )


def test_more_copies_than_allowed_wait_for_their_turn(custom, source):
    client = Client(custom)
    held = [
        helpers.held_image(custom, client, source) for _each in range(3)
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
        helpers.assert_unlocked(custom, client, image_id)
        helpers.assert_copied(custom, client, image_id, ['s1'])


@pytest.mark.parametrize('ending', ['deleted', 'deactivated'])
def test_a_copy_that_waits_can_be_stopped(custom, source, ending):
    client = Client(custom)
    running, held = helpers.held_image(custom, client, source)
    running_task = helpers.start(client, running, ['s1'])
    assert held.reached.wait(60)
    waiting = client.create_image(b'x')
    task_id = helpers.start(client, waiting, ['s1'])
    wait_phase(client, waiting, task_id, 'queued')
    if ending == 'deleted':
        client.delete(waiting)
    else:
        client.demand('POST', f'/images/{waiting}/actions/deactivate')
    helpers.wait_ended(custom, task_id)
    assert helpers.status(custom, task_id) == 'failure'
    assert ending in helpers.message(custom, task_id)
    helpers.assert_untouched(custom, waiting, ['s1'])
    assert helpers.status(custom, running_task) == 'processing'
    held.release()
    assert client.wait_copy(running, running_task)['status'] == 'success'
    helpers.assert_copied(custom, client, running, ['s1'])


def test_no_more_stores_than_allowed_are_written_at_once(custom, source):
    client = Client(custom)
    image_id, offer = helpers.held_image(custom, client, source)
    task_id = helpers.start(client, image_id, TARGETS)
    assert offer.reached.wait(60)

    def two_are_written():
        message = helpers.task_of(client, image_id, task_id)['message']
        found = progress.parse(message) or {'stores': {}}
        states = sorted(each['state'] for each in found['stores'].values())
        return states == ['copying', 'copying', 'queued']

    helpers.wait_until(two_are_written, 'two stores that are written')
    offer.release()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    helpers.assert_copied(custom, client, image_id, TARGETS)


@pytest.fixture(params=[
    {},
    *(pytest.param(settings, marks=pytest.mark.long) for settings in (
        {'taskflow_executor': {'engine_mode': 'serial'}},
        {'taskflow_executor': {'max_workers': 1}},
        {'taskflow_executor': {'max_workers': 2}},
        {'copy_image': {'max_parallel_stores': 1}},
    )),
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


def test_what_waits_for_a_store_is_private_in_a_staging_area_of_its_own(
    custom, source
):
    client = Client(custom)
    folder = custom.settings['copy_image']['staging_dir']
    image_id, held = helpers.held_image(custom, client, source)
    # One more than can be written at the same time.
    task_id = helpers.start(client, image_id, TARGETS)
    assert held.reached.wait(60)
    # One has data, another says how much may come.
    staged = helpers.wait_until(
        lambda: len(helpers.files(folder)) >= 2 and helpers.files(folder),
        'a staged file',
    )
    for path in staged:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {path.parent.name for path in staged} == {task_id, 'space'}
    assert helpers.staged_files(custom) == []
    held.release()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert helpers.files(folder) == []


def test_the_quota_of_a_user_is_respected(custom):
    client = Client(custom, MEMBER)
    image_id = client.create_image(helpers.data(2 * MIB))
    large = client.create_image(b'said to be large')
    custom.execute(
        'UPDATE images SET size = :size WHERE id = :id', size=QUOTA, id=large
    )
    task = helpers.copy(client, image_id, ['s1'])
    assert task['status'] == 'failure'
    assert 'quota' in task['message']
    assert 'Internal Error' not in task['message']
    helpers.assert_unlocked(custom, client, image_id, failed=['s1'])
    helpers.assert_untouched(custom, image_id, ['s1'])
    client.delete(large)
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'


def test_an_image_whose_hash_is_not_sha512_is_verified_and_copied(custom):
    client = Client(custom)
    content = helpers.data(MIB)
    image_id = client.create_image(content)
    assert client.image(image_id)['os_hash_algo'] == 'sha256'
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    assert custom.store_file('s1', image_id).read_bytes() == content
    path = custom.store_file('src', image_id)
    path.write_bytes(hashlib.sha256(content).digest().ljust(MIB, b'\1'))
    custom.store_file('s1', image_id).write_bytes(b'wrong'.ljust(MIB))
    task = helpers.copy(client, image_id, ['s2'])
    assert task['status'] == 'failure'
    assert 'sha256' in task['message']


def test_missing_stores_are_filled_if_the_operator_allows_it(custom):
    client = Client(custom)
    image_id = client.create_image(helpers.data())
    helpers.copy(client, image_id, ['s2'])
    task = helpers.copy(client, image_id, all_stores=True)
    assert task['status'] == 'success'
    assert sorted(task['input']['backend']) == ['s1', 's3']
    assert client.stores(image_id) == ['s1', 's2', 's3', 'src']
    helpers.assert_copied(custom, client, image_id, TARGETS)
    before = custom.tasks(image_id)
    # Nothing is missing any more.
    assert client.copy(image_id, all_stores=True).status_code == 202
    assert custom.tasks(image_id) == before
    other = client.create_image(b'x')
    answer = client.copy(other, ['s1'], all_stores=True)
    assert answer.status_code == 400
    assert 'not both' in answer.text


def test_the_owner_is_told_of_a_deleted_image_if_the_policy_lets_him_copy(
    custom, source
):
    client = Client(custom, MEMBER)
    image_id, offer = helpers.held_image(custom, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    assert offer.reached.wait(60)
    client.delete(image_id)
    offer.release()
    helpers.wait_ended(custom, task_id)
    assert client.copy(image_id, ['s1']).status_code == 410
    helpers.assert_untouched(custom, image_id, ['s1'])


def test_a_store_with_a_limit_of_its_own_does_not_slow_the_others(
    start_glance
):
    server = start_glance('slow-store', {
        'copy_image': {'store_bandwidth_limits': 's1:10k,s3:1G'},
    })
    client = Client(server)
    image_id = client.create_image(helpers.data(3 * MIB))
    task_id = helpers.start(client, image_id, TARGETS)
    helpers.wait_until(
        lambda: {'s2', 's3'} <= set(
            client.image(image_id)['stores'].split(',')
        ), 'the quick stores',
    )
    assert 's1' not in client.image(image_id)['stores'].split(',')
    client.delete(image_id)
    helpers.wait_ended(server, task_id)
    server.invariants.wait_settled()
