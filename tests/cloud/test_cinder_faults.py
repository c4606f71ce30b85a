# SPDX-License-Identifier: Apache-2.0

"""Glance with the driver ``cinder_multi`` when Cinder or Ceph fails it.

With ``CINDER_DRIVER=cinder`` it is stock Glance with glance_store's driver.
"""

import pytest

from tests.cloud import cinder_parts
from tests.cloud import stock
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.helpers import attachments
from tests.cloud.helpers import limited
from tests.cloud.helpers import volume_of
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

LARGE = 192 * MIB


@pytest.fixture(scope='module')
def server(cloud, start_glance, gate_server):
    """A store that reaches Cinder directly, and one that may be held up."""
    def cinder(**more):
        return given.cinder(cloud, 'glance-fast', driver=DRIVER, **more)

    return start_glance('cinder-faults', {
        'local': given.file(),
        'fast': cinder(),
        'gated': cinder(
            **cinder_parts.through_gate(cloud)
        ),
    }, {
        # A copy is to take long enough to be disturbed.
        'copy_image': {'bandwidth_limit': LARGE // 4},
    }, plugin=not stock.IS_TESTED)


@pytest.fixture
def client(server, as_user):
    return as_user(server)


@pytest.mark.fails_with_stock('the rest is missing, and the copy fails')
def test_a_copy_goes_on_when_reading_its_source_fails_once(
    cloud, server, client, block
):
    content = helpers.data(LARGE)
    image_id = client.create_image(content, store='fast')
    volume_id = volume_of(server, image_id, 'fast')
    task_id = helpers.start(client, image_id, ['local'])
    # Evicting before would hold up whoever is about to open it.
    helpers.wait_until(
        lambda: [each.status for each in attachments(cloud, volume_id)]
        == ['attached'], 'the volume to be read',
    )
    cinder_parts.evict(cloud, 'fast', volume_id)
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task
    assert client.wait_unlocked(image_id)['stores'] == 'fast,local'
    client.delete(image_id, store='fast')
    assert client.download(image_id) == content
    client.delete(image_id)



@pytest.mark.fails_with_stock('it stays attached, and deleting it is a 500')
def test_an_image_can_be_deleted_after_its_volume_could_not_be_detached(
    cloud, server, client, gate
):
    content = helpers.data(9 * MIB)
    image_id = client.create_image(content, store='gated')
    volume_id = volume_of(server, image_id, 'gated')
    gate.fail('DELETE', '/attachments/', 1000)
    assert client.download(image_id) == content
    assert len(attachments(cloud, volume_id)) == 1
    gate.heal()
    helpers.wait_until(
        lambda: not attachments(cloud, volume_id), 'the volume to be free',
    )
    client.delete(image_id)


@pytest.mark.fails_with_stock('it is a 500')
def test_an_upload_beyond_the_quota_of_cinder_is_refused(
    cloud, server, client
):
    image_id = client.new_image()
    with limited(cloud, volumes=0):
        answer = client.request(
            'PUT', f'/images/{image_id}/file', data=b'1234', headers={
                'Content-Type': 'application/octet-stream',
                'X-Image-Meta-Store': 'fast',
            },
        )
    assert answer.status_code == 413, answer.text
    assert client.image(image_id)['status'] == 'queued'
    client.upload(image_id, b'1234', 'fast')
    client.delete(image_id)


def test_a_copy_beyond_the_quota_of_cinder_says_so(cloud, server, client):
    image_id = client.create_image(b'1234')
    with limited(cloud, volumes=0):
        task = client.copy_and_wait(image_id, ['fast'])
    assert task['status'] == 'failure', task
    assert 'store fast: no space left' in task['message']
    # Whoever has to give more wants to know of what.
    assert "quota 'volumes'" in task['message'], task
    assert client.wait_unlocked(image_id)['stores'] == 'local'
    client.delete(image_id)
