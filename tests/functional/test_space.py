# SPDX-License-Identifier: Apache-2.0

"""The staging area is shared by the copies of all processes of a host."""

import concurrent.futures
import contextlib
import os
import signal

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness.wsgi import gunicorn

pytestmark = pytest.mark.functional

ROOM = 16 * MIB
# The HTTP driver reads 4 MiB at a time, and so much is in the staging area.
SIZE = 10 * MIB
WAITING = 'until other copies leave room in the staging area'


@pytest.fixture(scope='module')
def shared(start_glance, mount_tmpfs):
    """Two processes with 16 MiB to stage in, which they need.

    The second store waits for the first one.
    """
    return start_glance(
        'shared-space',
        {'copy_image': {'max_parallel_stores': 1, 'staging_memory': 65536}},
        workers=2, wsgi=gunicorn.Gunicorn('--preload'),
        store_dirs={'os_glance_staging_store': mount_tmpfs(ROOM + 65536)},
    )


@pytest.fixture
def held(shared, source):
    """Return a function that begins a copy which waits for its source."""
    offers = []

    def begin(size=SIZE, hold_at=5 * MIB):
        client = Client(shared)
        content = helpers.data(size)
        image_id = client.create_image(content)
        offers.append(source.offer(content, hold_at=min(hold_at, size)))
        helpers.move(shared, image_id, 'src', offers[-1].url)
        task_id = helpers.start(client, image_id, ['s1', 's2'])
        return image_id, task_id, offers[-1]

    yield begin
    for offer in offers:
        offer.release()


def wait_queued(server, task_id):
    helpers.wait_until(
        lambda: WAITING in helpers.message(server, task_id),
        'the copy to say that it waits',
    )


def assert_done(server, image_id, task_id):
    client = Client(server)
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    helpers.assert_copied(server, client, image_id, ['s1', 's2'])


def test_a_copy_that_does_not_fit_waits_for_its_turn(shared, held):
    first, first_task, first_offer = held()
    assert first_offer.reached.wait(60)
    second, second_task, second_offer = held()
    wait_queued(shared, second_task)
    # Small enough, but it came later: a large one must not wait for ever.
    third, third_task, third_offer = held(7 * MIB)
    wait_queued(shared, third_task)
    assert not second_offer.asked.is_set()
    assert not third_offer.asked.is_set()
    first_offer.release()
    assert_done(shared, first, first_task)
    assert second_offer.reached.wait(60)
    assert not third_offer.asked.is_set()
    second_offer.release()
    third_offer.release()
    assert_done(shared, second, second_task)
    assert_done(shared, third, third_task)
    helpers.wait_until(
        lambda: not helpers.staged_files(shared), 'an empty staging area'
    )


def test_a_copy_that_fits_beside_another_does_not_wait(shared, held):
    first, first_task, first_offer = held()
    assert first_offer.reached.wait(60)
    second, second_task, second_offer = held(5 * MIB)
    assert second_offer.reached.wait(60)
    first_offer.release()
    second_offer.release()
    assert_done(shared, first, first_task)
    assert_done(shared, second, second_task)


def test_a_copy_that_can_never_fit_fails_at_once(shared, held):
    first, first_task, first_offer = held()
    assert first_offer.reached.wait(60)
    client = Client(shared)
    second, second_task, second_offer = held(17 * MIB)
    task = client.wait_copy(second, second_task)
    assert task['status'] == 'failure'
    assert 'staging area' in task['message']
    assert 'staging_window' in task['message']
    assert not second_offer.asked.is_set()
    first_offer.release()
    assert_done(shared, first, first_task)
    helpers.assert_unlocked(shared, client, second, failed=['s1', 's2'])
    helpers.assert_untouched(shared, second, ['s1', 's2'])


def test_a_copy_that_waits_for_space_can_be_stopped(shared, held):
    first, first_task, first_offer = held()
    assert first_offer.reached.wait(60)
    second, second_task, second_offer = held()
    wait_queued(shared, second_task)
    Client(shared).delete(second)
    helpers.wait_ended(shared, second_task)
    assert helpers.status(shared, second_task) == 'failure'
    assert not second_offer.asked.is_set()
    third, third_task, third_offer = held(5 * MIB)
    assert third_offer.reached.wait(60)
    first_offer.release()
    third_offer.release()
    assert_done(shared, first, first_task)
    assert_done(shared, third, third_task)


def test_what_a_killed_process_had_reserved_is_free_again(shared, held):
    running = [held(), held()]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(
            lambda pid: os.kill(pid, signal.SIGKILL), shared.worker_pids
        ))
    for _image, _task, offer in running:
        offer.release()
    for image_id, task_id, _offer in running:
        assert_done(shared, image_id, task_id)
    helpers.wait_until(
        lambda: not helpers.staged_files(shared), 'an empty staging area'
    )


def test_space_is_waited_for_where_a_local_image_is_read_on_elsewhere(
    shared, held, source
):
    """The file of the first location ends too early; the next is remote."""
    client = Client(shared)
    content = helpers.data(SIZE)
    image_id = client.create_image(content)
    helpers.copy(client, image_id, ['s3'])
    elsewhere = source.offer(content)
    # As the second location: the default store is read first.
    helpers.move(shared, image_id, 's3', elsewhere.url)
    with shared.store_file('src', image_id).open('r+b') as file:
        file.truncate(MIB)
    first, first_task, first_offer = held()
    assert first_offer.reached.wait(60)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    wait_queued(shared, task_id)
    first_offer.release()
    assert_done(shared, first, first_task)
    assert_done(shared, image_id, task_id)


def test_a_local_image_needs_no_staging_area(shared):
    client = Client(shared)
    image_id = client.create_image(helpers.data(ROOM + MIB))
    task = client.copy_and_wait(image_id, ['s1', 's2'])
    assert task['status'] == 'success', task['message']
    helpers.assert_copied(shared, client, image_id, ['s1', 's2'])


def test_a_staging_area_that_becomes_full_fails_the_copy(shared, held):
    client = Client(shared)
    image_id, task_id, offer = held()
    assert offer.reached.wait(60)
    filler = shared.staging / 'filler'
    with contextlib.suppress(OSError):
        filler.write_bytes(helpers.data(ROOM))
    offer.release()
    task = client.wait_copy(image_id, task_id)
    filler.unlink()
    assert task['status'] == 'failure'
    assert 'staging area' in task['message']
    helpers.assert_unlocked(shared, client, image_id, failed=['s1', 's2'])
    helpers.assert_untouched(shared, image_id, ['s1', 's2'])
