# SPDX-License-Identifier: Apache-2.0

"""Locations of former times, which Glance updates when they are shown."""

import pytest

from tests.cloud import cinder_parts
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import stores as given
from tests.cloud.test_cinder_glance import relocate
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')
GONE = 'cinder://00000000-1111-4222-8333-444444444444'


@pytest.fixture(scope='module')
def server(cloud, start_glance, gate_server):
    """Stores of which two have the same type; the default is the later."""
    def cinder(volume_type):
        return given.cinder(
            cloud, volume_type, driver=DRIVER,
            cinder_os_region_name=cinder_parts.FAULTY_REGION,
        )

    return start_glance('cinder-legacy', {
        'local': given.file(),
        'slow': cinder('glance-slow'),
        'fast': cinder('glance-fast'),
        'faster': cinder('glance-fast'),
    }, {'glance_store': {'default_backend': 'faster'}})


@pytest.fixture
def client(server, as_user):
    return as_user(server)


@pytest.fixture
def image(server, client):
    """Give a function that makes an image: its id, bytes and volume."""
    made = []

    def make(store):
        content = helpers.data(MIB)
        image_id = client.create_image(content, store=store)
        made.append(image_id)
        url = helpers.rows(server, image_id)[store]
        return image_id, content, cinder_parts.volume_of(url)

    yield make
    for image_id in made:
        client.delete(image_id)


def test_a_location_without_a_store_gets_the_one_with_the_type(
    server, client, image
):
    image_id, content, volume_id = image('slow')
    relocate(server, image_id, f'cinder://{volume_id}', None)
    assert client.stores(image_id) == ['slow']
    assert helpers.rows(server, image_id) == {
        'slow': f'cinder://slow/{volume_id}'
    }
    assert client.download(image_id) == content


@pytest.mark.fails_with_stock('it is the first one')
def test_of_two_stores_with_the_type_it_is_the_default_one(
    server, client, image, block
):
    image_id, content, volume_id = image('fast')
    # A volume of another driver does not say which store made it.
    block('glance').volumes.delete_metadata(volume_id, ['glance_store'])
    relocate(server, image_id, f'cinder://{volume_id}', None)
    assert client.stores(image_id) == ['faster']
    assert helpers.rows(server, image_id) == {
        'faster': f'cinder://faster/{volume_id}'
    }
    assert client.download(image_id) == content
    said = [
        line for line in helpers.log_of(server).splitlines()
        if volume_id in line and 'may belong to any of the stores' in line
    ]
    assert len(said) == 1, said
    assert 'fast, faster' in said[0]


def test_a_volume_that_names_its_store_goes_there_and_not_to_the_default(
    server, client, image
):
    image_id, _, volume_id = image('fast')
    relocate(server, image_id, f'cinder://{volume_id}', None)
    assert client.stores(image_id) == ['fast']


def test_the_location_of_a_store_that_was_renamed_is_updated(
    server, client, image
):
    image_id, content, volume_id = image('slow')
    relocate(server, image_id, f'cinder://former/{volume_id}', 'former')
    assert client.stores(image_id) == ['slow']
    assert helpers.rows(server, image_id) == {
        'slow': f'cinder://slow/{volume_id}'
    }
    assert client.download(image_id) == content


def test_the_location_of_a_retired_store_goes_to_the_one_it_was_retyped_for(
    server, client, image, block
):
    image_id, content, volume_id = image('fast')
    relocate(server, image_id, f'cinder://retired/{volume_id}', 'retired')
    cinder = block('glance')
    cinder.volumes.retype(volume_id, 'glance-slow', 'on-demand')
    helpers.wait_until(
        lambda: cinder.volumes.get(volume_id).volume_type == 'glance-slow',
        'the new type',
    )
    assert client.stores(image_id) == ['slow']
    assert client.download(image_id) == content


@pytest.mark.fails_with_stock('it is')
def test_a_volume_that_is_gone_is_not_looked_up_by_every_request(
    server, client, image, gate
):
    image_id, _, volume_id = image('slow')
    relocate(server, image_id, GONE, None)
    for _ in range(3):
        client.image(image_id)
    asked = gate.count('GET', cinder_parts.volume_of(GONE))
    assert 1 <= asked <= 3, 'each of the three stores looks once'
    assert helpers.rows(server, image_id) == {None: GONE}
    relocate(server, image_id, f'cinder://slow/{volume_id}', 'slow')


@pytest.mark.fails_with_stock('it is')
def test_a_store_is_not_taken_for_one_whose_name_begins_like_its_own(
    server, client, image
):
    image_id, _, volume_id = image('faster')
    relocate(server, image_id, f'cinder://{volume_id}', None)
    assert client.stores(image_id) == ['faster']
    assert helpers.rows(server, image_id) == {
        'faster': f'cinder://faster/{volume_id}'
    }
