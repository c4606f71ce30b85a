# SPDX-License-Identifier: Apache-2.0

"""What a late save of an older record breaks is put right.

Glance's own requests read an image and save all of it later. Here one of them
waits in between until the copy has ended: it adds a location, whose server
does not tell the size before.
"""

import concurrent.futures
import contextlib

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

CORRECTED = 'had put back its record from before'


@pytest.fixture(scope='module')
def web():
    with helpers.Source() as server:
        yield server


@pytest.fixture(scope='module')
def server(start_glance, web):
    """Copies one store after the other; images may have web locations."""
    port = web.offer(b'').url.split(':')[-1].split('/')[0]
    return start_glance('settling', {
        'DEFAULT': {'show_multiple_locations': True},
        'import_filtering_opts': {
            'allowed_hosts': '[127.0.0.1]', 'allowed_ports': f'[{port}]',
        },
        'copy_image': {
            'max_parallel_stores': 1, 'staging_window': MIB,
            'bandwidth_limit': 2 * MIB,
        },
    }, audit=True)


@pytest.fixture
def client(server):
    return Client(server)


@contextlib.contextmanager
def late_save(server, web, client, image_id, content):
    """Change an image: it is read now, and saved when this is left."""
    offer = web.offer(content, hold_size=True)
    changes = [
        {'op': 'add', 'path': '/changed', 'value': 'late'},
        {'op': 'add', 'path': '/locations/-', 'value': {
            'url': offer.url, 'metadata': {'store': 'web'},
        }},
    ]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        saving = pool.submit(
            client.as_user(client.token).patch, image_id, *changes
        )
        helpers.wait_until(
            lambda: offer.reached.is_set() or saving.done(), 'the request'
        )
        assert offer.reached.is_set(), saving.exception()
        try:
            yield
        finally:
            offer.release()
        saving.result(timeout=60)


def wait_stored(server, image_id, store):
    helpers.wait_until(
        lambda: store in helpers.rows(server, image_id), f'store {store}'
    )


def wait_corrected(server, times):
    helpers.wait_until(
        lambda: helpers.log_of(server).count(CORRECTED) >= times,
        'a correction',
    )


def corrections(server):
    return helpers.log_of(server).count(CORRECTED)


def test_the_end_of_a_copy_survives_a_late_save(server, web, client):
    content = helpers.data(8 * MIB)
    image_id = client.create_image(content)
    before = corrections(server)
    with helpers.replaced_by_file(server.places['s3']):
        task_id = helpers.start(
            client, image_id, ['s1', 's2', 's3'],
            all_stores_must_succeed=False,
        )
        wait_stored(server, image_id, 's1')
        with late_save(server, web, client, image_id, content):
            assert client.wait_copy(image_id, task_id)['status'] == 'success'
            assert set(helpers.rows(server, image_id)) == {'src', 's1', 's2'}
    image = client.image(image_id)
    assert image['changed'] == 'late'
    # This is the harm: unless it is mended, it stays so.
    if corrections(server) == before:
        assert helpers.named(image, helpers.IMPORTING) >= {'s3'}
        assert 's2' not in image['stores']
    wait_corrected(server, before + 1)
    server.invariants.assert_hold()
    image = client.image(image_id)
    assert image[helpers.IMPORTING] == ''
    assert image[helpers.FAILED] == 's3'
    assert image['changed'] == 'late'
    assert set(helpers.rows(server, image_id)) == {'src', 's1', 's2', 'web'}
    client.delete(image_id, 'web')


def test_what_was_taken_back_does_not_come_back(server, web, client):
    """While the second store is written, the image is in the first."""
    content = helpers.data(8 * MIB)
    image_id = client.create_image(content)
    before = corrections(server)
    with helpers.replaced_by_file(server.places['s3']):
        task_id = helpers.start(client, image_id, ['s1', 's2', 's3'])
        wait_stored(server, image_id, 's1')
        with late_save(server, web, client, image_id, content):
            assert client.wait_copy(image_id, task_id)['status'] == 'failure'
            assert set(helpers.rows(server, image_id)) == {'src'}
    wait_corrected(server, before + 1)
    server.invariants.assert_hold()
    assert set(helpers.rows(server, image_id)) == {'src', 'web'}
    assert client.image(image_id)[helpers.FAILED] == 's3'
    client.delete(image_id, 'web')


def test_what_a_deletion_did_not_know_of_is_removed(server, client):
    """It had read the image before the copy was recorded."""
    content = helpers.data(1000)
    image_id = client.create_image(content)
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    client.delete(image_id)
    path = server.store_file('s1', image_id)
    path.write_bytes(content)
    helpers.wait_until(
        lambda: not path.exists(), 'the object to be removed'
    )


def set_importing(server, image_id):
    server.execute(
        "UPDATE image_properties SET value = 's1' "
        'WHERE image_id = :id AND name = :name',
        id=image_id, name=helpers.IMPORTING,
    )


def test_what_a_user_removed_after_the_copy_stays_removed(server, client):
    image_id = client.create_image(helpers.data(1000))
    assert helpers.copy(client, image_id, ['s1', 's2'])['status'] == 'success'
    before = corrections(server)
    client.delete(image_id, 's1')
    set_importing(server, image_id)
    wait_corrected(server, before + 1)
    server.invariants.assert_hold()
    assert set(helpers.rows(server, image_id)) == {'src', 's2'}


def test_a_later_copy_has_the_last_word_on_what_failed(server, client):
    image_id = client.create_image(helpers.data(1000))
    with helpers.replaced_by_file(server.places['s2']):
        helpers.copy(
            client, image_id, ['s1', 's2'], all_stores_must_succeed=False
        )
        client.delete(image_id, 's1')
        before = corrections(server)
        helpers.copy(
            client, image_id, ['s1', 's2'], all_stores_must_succeed=False
        )
    helpers.copy(client, image_id, ['s2'])
    assert client.image(image_id)[helpers.FAILED] == ''
    set_importing(server, image_id)
    wait_corrected(server, before + 1)
    image = client.image(image_id)
    assert image[helpers.IMPORTING] == ''
    assert image[helpers.FAILED] == ''
    assert set(helpers.rows(server, image_id)) == {'src', 's1', 's2'}


def test_a_copy_that_runs_is_not_corrected(server, client):
    """The first copy of an image is looked after while the next one runs."""
    image_id = client.create_image(helpers.data(8 * MIB))
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    before = corrections(server)
    task_id = helpers.start(client, image_id, ['s2', 's3'])
    seen = []

    def ended():
        image = client.image(image_id)
        if helpers.LOCK in image and 's2' not in image['stores']:
            seen.append(image.get(helpers.IMPORTING))
        return helpers.status(server, task_id) == 'success'

    helpers.wait_until(ended, 'the end of the second copy')
    assert set(seen) - {''} == {'s2,s3'}
    assert '' not in seen[seen.index('s2,s3'):]
    assert corrections(server) == before


@pytest.fixture(scope='module')
def scrubbed(start_glance):
    """A server that leaves the removal of data to the scrubber."""
    return start_glance('scrubbing', {
        'DEFAULT': {'delayed_delete': True},
        'copy_image': {
            'max_parallel_stores': 1, 'staging_window': MIB,
            'bandwidth_limit': 2 * MIB,
        },
    })


@pytest.mark.long
def test_what_waits_for_the_scrubber_is_not_recorded_again(scrubbed):
    """The object is still there, but not for long."""
    client = Client(scrubbed)
    image_id = client.create_image(helpers.data(8 * MIB))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    wait_stored(scrubbed, image_id, 's1')
    client.delete(image_id, 's1')
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert set(helpers.rows(scrubbed, image_id)) == {'src', 's2'}
    assert scrubbed.store_file('s1', image_id).exists()
    set_importing(scrubbed, image_id)
    wait_corrected(scrubbed, 1)
    assert set(helpers.rows(scrubbed, image_id)) == {'src', 's2'}


@pytest.mark.long
def test_an_audit_leaves_to_the_scrubber_what_it_will_remove(scrubbed):
    client = Client(scrubbed)
    whole = client.create_image(b'to be restored, perhaps')
    partly = client.create_image(b'in one store less')
    client.copy_and_wait(partly, ['s1'])
    client.delete(whole)
    client.delete(partly, 's1')
    assert scrubbed.store_file('src', whole).exists()
    assert scrubbed.store_file('s1', partly).exists()
    scrubbed.invariants.assert_hold()
