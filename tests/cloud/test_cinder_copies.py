# SPDX-License-Identifier: Apache-2.0

"""Copies that Cinder makes, asked for through a real Glance."""

import pytest

from tests.cloud import cinder_parts
from tests.cloud import helpers as cloud_helpers
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

IMAGE = helpers.data(20 * MIB + 5)


@pytest.fixture(scope='module')
def server(cloud, start_glance, gate_server):
    """A Glance whose requests to Cinder are counted, but for one store."""
    def cinder(volume_type, **more):
        return given.cinder(
            cloud, volume_type, driver='cinder_multi',
            **cinder_parts.through_gate(cloud), **more
        )

    return start_glance('cinder-copies', {
        'local': given.file(),
        'fast': cinder('glance-fast'),
        'again': cinder('glance-fast'),
        'slow': cinder('glance-slow'),
        'other': cinder('glance-slow', user='glance2'),
    }, {'copy_image': {'recovery_interval': 0.5}})


@pytest.fixture
def client(server, as_user):
    return as_user(server)


@pytest.fixture
def image(client, gate):
    """An image that only the store fast holds."""
    image_id = client.create_image(IMAGE, store='fast')
    gate.requests.clear()
    yield image_id
    if client.request('GET', f'/images/{image_id}').status_code == 200:
        client.delete(image_id)


def attached(gate):
    """Return how often a volume was attached to the host of Glance."""
    return gate.count('POST', '/attachments')


def snapshots(block):
    return block('glance').volume_snapshots.list()


@pytest.mark.parametrize('store', ['slow', 'again'])
def test_no_byte_of_the_image_passes_through_glance(
    server, client, image, gate, block, store
):
    task = helpers.copy(client, image, [store])
    assert task['status'] == 'success', task['message']
    assert attached(gate) == 0
    helpers.assert_unlocked(server, client, image)
    volume_id = cloud_helpers.volume_of(server, image, store)
    volume = block('glance').volumes.get(volume_id)
    assert volume.volume_type == (
        'glance-slow' if store == 'slow' else 'glance-fast'
    )
    assert volume.metadata['glance_store'] == store
    assert volume.metadata['image_size'] == str(len(IMAGE))
    assert 'glance_writer' not in volume.metadata
    assert snapshots(block) == []
    # It needs nothing of where it comes from.
    client.delete(image, store='fast')
    assert client.download(image) == IMAGE
    server.invariants.assert_hold(verify=False)


def test_a_volume_that_the_project_of_the_store_does_not_see_is_streamed(
    client, image, gate, block
):
    task = helpers.copy(client, image, ['other'])
    assert task['status'] == 'success', task['message']
    assert attached(gate) > 0
    (volume,) = block('glance2').volumes.list()
    assert volume.metadata['glance_store'] == 'other'


def test_a_copy_that_cinder_refuses_is_streamed(client, image, gate, block):
    gate.fail('POST', 'os-retype', 1, status=400)
    task = helpers.copy(client, image, ['slow'])
    assert task['status'] == 'success', task['message']
    assert attached(gate) > 0
    assert snapshots(block) == []
    assert len(block('glance').volumes.list()) == 2


def test_one_store_fails_and_the_other_gets_the_image(
    server, client, image, gate
):
    gate.fail('POST', '"glance_store": "again"', 1000)
    task = helpers.copy(
        client, image, ['slow', 'again'], all_stores_must_succeed=False
    )
    gate.heal()
    assert 'store again' in task['message']
    assert client.stores(image) == ['fast', 'slow']
    helpers.assert_unlocked(server, client, image, failed=['again'])


def test_a_failure_of_cinder_is_told_and_leaves_nothing(
    server, client, image, gate, block
):
    gate.fail('POST', '/snapshots ', 1000, status=500)
    task = helpers.copy(client, image, ['slow'])
    gate.heal()
    assert task['status'] == 'failure'
    assert 'store slow' in task['message']
    assert snapshots(block) == []
    assert len(block('glance').volumes.list()) == 1
    helpers.assert_unlocked(server, client, image, failed=['slow'])


def copying(block):
    """Return the volumes that are being made of a snapshot."""
    return [
        volume for volume in block('glance').volumes.list()
        if volume.snapshot_id
    ]


def test_the_original_can_be_deleted_while_cinder_copies(
    server, client, image, block
):
    helpers.copy(client, image, ['again'])
    task_id = helpers.start(client, image, ['slow'])
    helpers.wait_until(lambda: snapshots(block), 'a snapshot')
    client.delete(image, store='fast')
    task = client.wait_copy(image, task_id, timeout=120)
    assert task['status'] == 'success', task['message']
    assert client.download(image) == IMAGE
    server.invariants.assert_hold_soon(timeout=90)


def test_an_image_that_is_deleted_while_cinder_copies_leaves_nothing(
    server, client, image, block
):
    task_id = helpers.start(client, image, ['slow'])
    helpers.wait_until(lambda: copying(block), 'a volume of the snapshot')
    client.delete(image)
    helpers.wait_ended(server, task_id)
    # Whichever was first, the copy or the deletion.
    helpers.wait_until(
        lambda: not block('glance').volumes.list() and not snapshots(block),
        'all volumes and snapshots to be gone', timeout=90,
    )


@pytest.mark.parametrize('begun', [snapshots, copying])
def test_a_killed_glance_finishes_the_copy(
    server, client, image, block, begun
):
    task_id = helpers.start(client, image, ['slow'])
    helpers.wait_until(lambda: begun(block), 'the copy to have begun')
    server.kill()
    server.start()
    task = client.wait_copy(image, task_id, timeout=240)
    assert task['status'] == 'success', task['message']
    assert snapshots(block) == []
    helpers.wait_until(
        lambda: len(block('glance').volumes.list()) == 2,
        'one volume for each store',
    )
    client.delete(image, store='fast')
    assert client.download(image) == IMAGE
