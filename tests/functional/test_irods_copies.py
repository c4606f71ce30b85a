# SPDX-License-Identifier: Apache-2.0

"""Copies that iRODS makes, when something goes wrong."""

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = [pytest.mark.functional, pytest.mark.long]

IMAGE = helpers.data(5 * MIB + 3)


@pytest.fixture(scope='module')
def start(start_glance, zone):
    """Give a function that starts a Glance with these further options."""
    return lambda name, **more: start_glance(
        name, {
            'archive': zone.settings(),
            'vault': zone.settings(path=zone.vault),
            'copy_image': {'recovery_interval': 0.5, **more},
        }, backends={'archive': 'irods', 'vault': 'irods'},
    )


@pytest.fixture(scope='module')
def glance(start):
    return start('irods-copies')


@pytest.fixture
def image(zone, glance):
    """An image that only the archive holds."""
    client = Client(glance)
    image_id = client.create_image(IMAGE, store='archive')
    zone.server.counters.reset()
    yield client, image_id
    if client.request('GET', f'/images/{image_id}').status_code == 200:
        client.delete(image_id)


def in_vault(zone):
    return zone.server.objects(zone.vault)


def test_instead_of_a_spoiled_object_another_location_is_copied(
    zone, glance, image
):
    client, image_id = image
    helpers.copy(client, image_id, ['s1'])
    zone.server.corrupt(f'{zone.collection}/{image_id}')
    task = helpers.copy(client, image_id, ['vault'])
    assert task['status'] == 'success', task['message']
    assert zone.server.content(f'{zone.vault}/{image_id}') == IMAGE


def test_a_full_zone_fails_the_copy_and_nothing_stays(zone, glance, image):
    client, image_id = image
    zone.server.faults.fail_on('copy', -513028)
    task = helpers.copy(client, image_id, ['vault', 's1'])
    assert task['status'] == 'failure'
    assert 'store vault: ' in task['message']
    assert 'no space left' in task['message']
    helpers.assert_unlocked(glance, client, image_id, failed=['vault'])
    assert in_vault(zone) == []
    helpers.assert_untouched(glance, image_id, ['s1'])


def test_a_connection_that_is_lost_is_tried_again(zone, glance, image):
    client, image_id = image
    zone.server.faults.drop_on('checksum')
    task = helpers.copy(client, image_id, ['vault'])
    assert task['status'] == 'success', task['message']
    assert len(in_vault(zone)) == 1
    glance.invariants.assert_hold()


def test_a_killed_glance_finishes_the_copy(zone, glance, image):
    client, image_id = image
    hanging = zone.server.faults.hang_on('copy')
    task_id = helpers.start(client, image_id, ['vault'])
    hanging.wait_until_reached()
    glance.kill()
    hanging.release()
    glance.start()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    assert in_vault(zone) == [f'{zone.vault}/{image_id}']
    glance.invariants.assert_hold()


def test_a_zone_that_does_not_tell_whether_it_can_copy_is_streamed_to(
    zone, start
):
    glance = start('irods-impatient', store_timeout=5)
    client = Client(glance)
    image_id = client.create_image(IMAGE, store='archive')
    zone.server.counters.reset()
    # Other servers may ask for their images now.
    hanging = zone.server.faults.hang_on('query', path=image_id)
    task = helpers.copy(client, image_id, ['vault'])
    hanging.release()
    assert task['status'] == 'success', task['message']
    assert zone.server.bytes_written == len(IMAGE)
    client.delete(image_id)
