# SPDX-License-Identifier: Apache-2.0

"""Locations of former times, which Glance updates when they are shown.

``glance-copy migrate-locations`` does it before Glance comes to them.
"""

import pytest

from tests.cloud import cinder_parts
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import stores as given
from tests.cloud.test_cinder_glance import relocate
from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')
GONE = 'cinder://00000000-1111-4222-8333-444444444444'


@pytest.fixture(scope='module')
def server(cloud, start_glance, gate_server):
    """Stores of which two have the same type; the default is the later."""
    def cinder(volume_type):
        return given.cinder(
            cloud, volume_type, driver=DRIVER,
            **cinder_parts.through_gate(cloud),
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
        url = helpers.rows(server, image_id)[store]
        made.append((image_id, url, store))
        return image_id, content, cinder_parts.volume_of(url)

    yield make
    for image_id, url, store in made:
        # A volume that is gone cannot be deleted.
        if GONE in helpers.rows(server, image_id).values():
            relocate(server, image_id, url, store)
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
    image_id, _, _ = image('slow')
    relocate(server, image_id, GONE, None)
    for _ in range(3):
        client.image(image_id)
    asked = gate.count('GET', cinder_parts.volume_of(GONE))
    assert 1 <= asked <= 3, 'each of the three stores looks once'
    assert helpers.rows(server, image_id) == {None: GONE}


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


def migrate(cloud, server, *more):
    done = replicating.migrate_locations(server, *more)
    assert cloud.password('glance') not in done.out + done.err
    return done


def test_a_dry_run_says_where_each_volume_will_go(
    cloud, server, client, image
):
    wanted, contents = {}, {}
    for store in ('slow', 'fast'):
        image_id, content, volume_id = _without_store(server, image, store)
        contents[image_id] = content
        wanted[image_id] = f'store {store}: cinder://{store}/{volume_id}'
    done = migrate(cloud, server, '--dry-run')
    assert {row['Image']: row['Detail'] for row in done.rows} == wanted
    assert set(done.by_image().values()) == {'would update'}
    for image_id in wanted:
        assert set(helpers.rows(server, image_id)) == {None}
    done = migrate(cloud, server)
    assert done.by_image() == dict.fromkeys(wanted, 'updated'), done
    for image_id, said in wanted.items():
        (row,) = helpers.rows(server, image_id).items()
        assert said == f'store {row[0]}: {row[1]}'
        assert client.download(image_id) == contents[image_id]
    assert migrate(cloud, server).rows == []


def test_a_volume_that_is_gone_is_said_and_the_others_are_updated(
    cloud, server, image, block
):
    lost, _, _ = image('fast')
    found, _, volume_id = _without_store(server, image, 'fast')
    # A volume of another driver does not say which store made it.
    block('glance').volumes.delete_metadata(volume_id, ['glance_store'])
    relocate(server, lost, GONE, None)
    done = migrate(cloud, server)
    assert done.status == 1
    assert done.by_image() == {lost: 'failed', found: 'updated'}, done
    (row,) = [each for each in done.rows if each['Image'] == lost]
    assert GONE.rpartition('/')[2] in row['Detail']
    assert helpers.rows(server, lost) == {None: GONE}
    assert helpers.rows(server, found) == {
        'faster': f'cinder://faster/{volume_id}'
    }


def _without_store(server, image, store):
    """Make an image whose location does not say in which store it is."""
    image_id, content, volume_id = image(store)
    relocate(server, image_id, f'cinder://{volume_id}', None)
    return image_id, content, volume_id
