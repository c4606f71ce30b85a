# SPDX-License-Identifier: Apache-2.0

"""Locations in Cinder, brought up to date before Glance comes to them."""

import pytest

from tests.cloud import cinder_parts
from tests.cloud import helpers as cloud_helpers
from tests.cloud.services import stores
from tests.cloud.test_cinder_glance import relocate
from tests.functional import helpers
from tests.functional import replicating

pytestmark = pytest.mark.usefixtures('nothing_left')
GONE = '00000000-1111-4222-8333-444444444444'


@pytest.fixture(scope='module')
def server(cloud, start_glance):
    """Stores of which two have the same type; the default is the later."""
    def cinder(volume_type):
        return stores.cinder(cloud, volume_type, driver=cinder_parts.DRIVER)

    return start_glance('cinder-migrate', {
        'local': stores.file(),
        'slow': cinder('glance-slow'),
        'fast': cinder('glance-fast'),
        'faster': cinder('glance-fast'),
    }, {'glance_store': {'default_backend': 'faster'}})


@pytest.fixture
def images(server, as_user):
    """Give a function that makes an image with a location of old times."""
    client = as_user(server)
    made = []

    def make(store):
        content = helpers.data()
        image_id = client.create_image(content, store=store)
        volume = cloud_helpers.volume_of(server, image_id, store)
        made.append((image_id, f'cinder://{store}/{volume}', store))
        relocate(server, image_id, f'cinder://{volume}', None)
        return image_id, volume, content

    yield make
    for image_id, url, store in made:
        # For a location of old times Glance would not find what to remove.
        if None in helpers.rows(server, image_id):
            relocate(server, image_id, url, store)
        client.delete(image_id)


def migrate(cloud, server, *more):
    done = replicating.run(
        'migrate-locations', '--config-dir', server.conf.parent, *more
    )
    assert cloud.place.password('glance') not in done.out + done.err
    return done


def test_a_volume_goes_to_the_store_of_its_type(
    cloud, server, as_user, images
):
    image_id, volume, content = images('slow')
    done = migrate(cloud, server)
    assert done.by_image() == {image_id: 'updated'}, done
    assert helpers.rows(server, image_id) == {
        'slow': f'cinder://slow/{volume}'
    }
    assert as_user(server).download(image_id) == content
    assert migrate(cloud, server).rows == []


def test_of_two_stores_with_the_type_it_is_the_default_one(
    cloud, server, images, block
):
    image_id, volume, _content = images('fast')
    # A volume of another driver does not say which store made it.
    block('glance').volumes.delete_metadata(volume, ['glance_store'])
    done = migrate(cloud, server)
    assert done.by_image() == {image_id: 'updated'}, done
    assert helpers.rows(server, image_id) == {
        'faster': f'cinder://faster/{volume}'
    }


def test_a_dry_run_says_where_each_volume_would_go(cloud, server, images):
    wanted = {}
    for store in ('slow', 'fast'):
        image_id, volume, _content = images(store)
        wanted[image_id] = f'store {store}: cinder://{store}/{volume}'
    done = migrate(cloud, server, '--dry-run')
    assert {row['Image']: row['Detail'] for row in done.rows} == wanted
    assert set(done.by_image().values()) == {'would update'}
    for image_id in wanted:
        assert set(helpers.rows(server, image_id)) == {None}


def test_a_volume_that_is_gone_is_said_and_the_others_are_updated(
    cloud, server, images
):
    lost, _volume, _content = images('fast')
    found, volume, _content = images('slow')
    relocate(server, lost, f'cinder://{GONE}', None)
    done = migrate(cloud, server)
    assert done.status == 1
    assert done.by_image() == {lost: 'failed', found: 'updated'}, done
    (row,) = [each for each in done.rows if each['Image'] == lost]
    assert GONE in row['Detail']
    assert helpers.rows(server, lost) == {None: f'cinder://{GONE}'}
    assert helpers.rows(server, found) == {'slow': f'cinder://slow/{volume}'}
