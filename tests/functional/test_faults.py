# SPDX-License-Identifier: Apache-2.0

"""What passes is waited for or tried again; what does not, is given up."""

import contextlib
import os
import signal
import threading

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import postgres
from tests.parts import filesystems

pytestmark = pytest.mark.functional

AGAIN = 'Trying again'
# Seconds without an answer; what answers is never as slow.
TIMEOUT = 6
SILENT = f'has not answered for {TIMEOUT} seconds'


# Stores and sources that fail for a while.


def offered(server, source, size=12 * MIB, **offer):
    """Make an image that is only on an HTTP server."""
    client = Client(server)
    content = helpers.data(size)
    image_id = client.create_image(content)
    offer = source.offer(content, **offer)
    helpers.move(server, image_id, 'src', offer.url)
    return client, image_id, offer


def test_a_source_that_breaks_off_is_read_on(either, source):
    client, image_id, offer = offered(
        either, source, cut_at=9 * MIB, cuts=2
    )
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'success', task['message']
    assert offer.times == 3
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, ['s1', 's2'])


def test_a_source_that_gets_no_further_is_given_up(either, source):
    client, image_id, offer = offered(either, source, cut_at=MIB)
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'failure'
    assert 'source store web: ' in task['message']
    # It got further once.
    assert offer.times == 5
    helpers.assert_unlocked(either, client, image_id, failed=['s1', 's2'])
    helpers.assert_untouched(either, image_id, ['s1', 's2'])


@contextlib.contextmanager
def moved_away(folder):
    """Let a store's directory be gone, as an unmounted one is."""
    aside = folder.with_name(folder.name + '-aside')
    folder.rename(aside)
    try:
        yield
    finally:
        aside.rename(folder)


def test_a_store_that_was_gone_for_a_moment_gets_the_image(patient):
    client = Client(patient)
    image_id = client.create_image(helpers.data(3 * MIB))
    with moved_away(patient.places['s2']):
        task_id = helpers.start(client, image_id, ['s1', 's2'])
        helpers.wait_until(
            lambda: AGAIN in helpers.log_of(patient), 'a second try'
        )
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(patient, client, image_id)
    helpers.assert_copied(patient, client, image_id, ['s1', 's2'])


def test_a_store_that_stays_away_is_given_up(either):
    client = Client(either)
    image_id = client.create_image(helpers.data(3 * MIB))
    before = helpers.log_of(either).count(AGAIN)
    with moved_away(either.places['s2']):
        task = helpers.copy(client, image_id, ['s1', 's2'])
    assert helpers.log_of(either).count(AGAIN) == before + 3
    assert task['status'] == 'failure'
    assert 'store s2: ' in task['message']
    assert 'Internal Error' not in task['message']
    helpers.assert_unlocked(either, client, image_id, failed=['s2'])
    helpers.assert_untouched(either, image_id, ['s1', 's2'])


def test_what_will_not_pass_is_not_tried_again(either):
    client = Client(either)
    image_id = client.create_image(helpers.data(3 * MIB))
    before = helpers.log_of(either).count(AGAIN)
    with helpers.replaced_by_file(either.places['s2']):
        task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'failure'
    assert helpers.log_of(either).count(AGAIN) == before


# Stores and sources that do not answer.


@pytest.fixture(scope='module')
def disk():
    with filesystems.freezable() as made:
        yield made


def start_on_disk(start_glance, disk, name, copiers):
    """Start a server whose store ``s3`` is on the disk that can hang."""
    folder = disk.folder / name
    folder.mkdir()
    return start_glance(
        f'hanging-{name}',
        {'copy_image': {
            'copiers': copiers, 'store_timeout': TIMEOUT,
            # As long as it takes.
            'retry_interval': 0.5, 'retries': 100,
        }},
        store_dirs={'s3': folder},
    )


@pytest.fixture(scope='module')
def patient(start_glance, disk):
    return start_on_disk(start_glance, disk, 'stream', '')


@pytest.fixture(scope='module')
def patient_copier(start_glance, disk):
    return start_on_disk(start_glance, disk, 'copier', 'file')


@pytest.fixture(params=[
    'patient', pytest.param('patient_copier', marks=pytest.mark.long),
])
def on_disk(request):
    """A server whose store ``s3`` is on that disk."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def hanging(on_disk, disk):
    """The same, whose store ``s3`` hangs until the test thaws it."""
    disk.freeze()
    yield on_disk
    disk.thaw()


def entry(server, image_id):
    return server.staging / 'copy-image' / 'journal' / image_id


def wait_forgotten(server, image_id):
    """Wait until nothing of a copy is going on in any thread."""
    helpers.wait_until(
        lambda: not entry(server, image_id).exists(),
        'the end of what hung',
    )


@pytest.mark.parametrize('strict', [True, False])
def test_a_store_that_hangs_is_given_up(hanging, disk, strict):
    client = Client(hanging)
    image_id = client.create_image(helpers.data(5 * MIB))
    task = helpers.copy(
        client, image_id, ['s1', 's3'], all_stores_must_succeed=not strict
    )
    assert task['status'] == ('success' if strict else 'failure')
    assert f'store s3: {SILENT}' in task['message']
    helpers.assert_unlocked(hanging, client, image_id, failed=['s3'])
    assert ('s1' in helpers.rows(hanging, image_id)) is strict
    # Somebody may still write there: nobody else shall.
    refused = client.copy(image_id, ['s2', 's3'])
    assert refused.status_code == 409
    assert 'hangs' in refused.text
    disk.thaw()
    wait_forgotten(hanging, image_id)
    helpers.assert_untouched(hanging, image_id, ['s3'])
    task = helpers.copy(client, image_id, ['s2', 's3'])
    assert task['status'] == 'success', task['message']
    helpers.assert_copied(hanging, client, image_id, ['s2', 's3'])


def test_deleting_the_image_ends_a_copy_to_a_store_that_hangs(hanging, disk):
    client = Client(hanging)
    image_id = client.create_image(helpers.data(5 * MIB))
    task_id = helpers.start(client, image_id, ['s1', 's3'])
    helpers.wait_until(
        lambda: 's1' in helpers.rows(hanging, image_id), 'the other store'
    )
    client.delete(image_id)
    helpers.wait_ended(hanging, task_id)
    assert helpers.status(hanging, task_id) == 'failure'
    assert 'deleted' in helpers.message(hanging, task_id)
    disk.thaw()
    wait_forgotten(hanging, image_id)
    for store in ('src', 's1', 's3'):
        assert helpers.left_in(hanging, store, image_id) == []


@pytest.mark.long
def test_a_restart_while_a_store_hangs_loses_nothing(hanging, disk):
    client = Client(hanging)
    image_id = client.create_image(helpers.data(5 * MIB))
    task_id = helpers.start(client, image_id, ['s1', 's3'])
    helpers.wait_until(
        lambda: 's1' in helpers.rows(hanging, image_id), 'the other store'
    )
    stopping = threading.Thread(target=hanging.stop)
    stopping.start()
    helpers.wait_until(
        lambda: 'is left to the next process' in helpers.log_of(hanging),
        'the copy to be suspended',
    )
    disk.thaw()
    stopping.join()
    assert helpers.status(hanging, task_id) == 'processing'
    hanging.start()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(hanging, client, image_id)
    helpers.assert_copied(hanging, client, image_id, ['s1', 's3'])


@pytest.mark.long
def test_what_a_killed_process_left_in_a_store_that_hung_is_removed(
    hanging, disk
):
    """The copy has ended, and only one of its threads hangs on."""
    client = Client(hanging)
    image_id = client.create_image(helpers.data(5 * MIB))
    task = helpers.copy(
        client, image_id, ['s1', 's3'], all_stores_must_succeed=False
    )
    assert task['status'] == 'success'
    assert entry(hanging, image_id).exists()
    # It dies in the middle of what it asked of the disk, which is then done.
    for pid in hanging.worker_pids:
        os.kill(pid, signal.SIGKILL)
    disk.thaw()
    wait_forgotten(hanging, image_id)
    helpers.assert_untouched(hanging, image_id, ['s3'])
    helpers.assert_copied(hanging, client, image_id, ['s1'])


@pytest.mark.long
def test_a_slow_store_is_waited_for(on_disk, disk):
    """It stands still again and again, each time for less than the limit."""
    client = Client(on_disk)
    image_id = client.create_image(helpers.data(5 * MIB))
    disk.freeze()
    task_id = helpers.start(client, image_id, ['s3'])
    pause = threading.Event()
    while helpers.status(on_disk, task_id) == 'processing':
        pause.wait(1.5)
        disk.thaw()
        pause.wait(0.001)
        disk.freeze()
    disk.thaw()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    helpers.assert_copied(on_disk, client, image_id, ['s3'])


def test_a_source_that_hangs_is_given_up(on_disk, source):
    client, image_id, offer = offered(on_disk, source, hold_at=9 * MIB)
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'failure'
    assert f'source store web: {SILENT}' in task['message']
    assert offer.times == 1
    helpers.assert_unlocked(
        on_disk, client, image_id, failed=['s1', 's2']
    )
    helpers.assert_untouched(on_disk, image_id, ['s1', 's2'])


def test_instead_of_a_source_that_hangs_another_is_read(on_disk, source):
    client = Client(on_disk)
    content = helpers.data(12 * MIB)
    image_id = client.create_image(content)
    helpers.copy(client, image_id, ['s1'])
    offer = source.offer(content, hold_at=9 * MIB)
    helpers.move(on_disk, image_id, 'src', offer.url)
    task = helpers.copy(client, image_id, ['s2', 's3'])
    assert offer.reached.is_set()
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(on_disk, client, image_id)
    helpers.assert_copied(on_disk, client, image_id, ['s2', 's3'])


# A database that does not answer.

GONE_SECONDS = 10


@pytest.mark.long
@pytest.mark.postgresql
def test_a_database_that_is_away_for_ten_seconds_fails_no_copy(start_glance):
    """It goes while one store has the image and the other is written."""
    try:
        database = postgres.Postgres().start()
    except postgres.Unavailable as why:
        pytest.skip(str(why))
    with database:
        server = start_glance(
            'restarted-database',
            {'copy_image': {
                'bandwidth_limit': 4 * MIB, 'staging_window': MIB,
                'max_parallel_stores': 1,
            }},
            database_url=database.url('glance'),
        )
        client = Client(server)
        image_id = client.create_image(helpers.data(8 * MIB))
        task_id = helpers.start(client, image_id, ['s1', 's2'])
        helpers.wait_until(
            lambda: helpers.left_in(server, 's2', image_id),
            'the second store to be written',
        )
        assert 's1' in helpers.rows(server, image_id)
        with database.stopped():
            threading.Event().wait(GONE_SECONDS)
            assert server.store_file('s2', image_id).exists()
        task = client.wait_copy(image_id, task_id)
        assert task['status'] == 'success', task['message']
        helpers.assert_unlocked(server, client, image_id)
        helpers.assert_copied(server, client, image_id, ['s1', 's2'])
        # Neither failed and begun again: it just waited.
        assert 'Taking over' not in helpers.log_of(server)
        server.stop()
