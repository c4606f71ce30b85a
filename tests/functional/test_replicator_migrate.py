# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate migrate-locations``, beside a real Glance.

Without one: tests/unit/test_replicator_migrate.py.
"""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client

pytestmark = [pytest.mark.functional, pytest.mark.long]

PASSWORD = 'sesame-opens'


@pytest.fixture(scope='module')
def glance(start_glance, zone):
    return start_glance(
        'migrate', {'archive': zone.settings()},
        backends={'archive': 'irods'},
    )


@pytest.fixture
def image(zone, glance):
    """An image whose location is as the first driver wrote it."""
    with replicating.emptied(glance):
        client = Client(glance)
        image_id = client.create_image(helpers.data(), store='archive')
        right, _store = url_of(glance, image_id)
        set_url(glance, image_id, old_url(zone, image_id))
        yield image_id
        set_url(glance, image_id, right)


def old_url(zone, name):
    path = f'{zone.collection}/{name}'
    return f'irods://rods:{PASSWORD}@irods.example.org:1247{path}'


def set_url(glance, image_id, url, metadata='{"store": "archive"}'):
    glance.execute(
        'UPDATE image_locations SET value = :value, meta_data = :metadata '
        'WHERE image_id = :image',
        value=url, image=image_id, metadata=metadata,
    )


def url_of(glance, image_id):
    (row,) = glance.locations(image_id)
    return row['url'], row['store']


def migrate(glance, *more):
    return replicating.run(
        'migrate-locations', '--config-dir', glance.conf.parent, *more
    )


def test_credentials_are_removed_from_locations(zone, glance, image):
    client = Client(glance)
    data = client.download(image)
    today = client.create_image(helpers.data(), store='archive')
    before = glance.locations(today)
    set_url(glance, image, old_url(zone, image), '{}')
    done = migrate(glance, '--dry-run')
    assert done.status == 0, done
    assert done.by_image() == {image: 'would update'}
    assert url_of(glance, image)[0] == old_url(zone, image)
    done = migrate(glance)
    assert done.status == 0, done
    assert done.by_image() == {image: 'updated'}
    wanted = f'irods:/{zone.collection}/{image}'
    assert url_of(glance, image) == (wanted, 'archive')
    assert client.download(image) == data
    assert PASSWORD not in done.out + done.err
    assert glance.locations(today) == before
    assert migrate(glance).rows == []


def test_what_no_store_fits_is_reported_and_left_alone(glance, image):
    url = f'irods://rods:{PASSWORD}@h:1247/tempZone/home/else/x'
    set_url(glance, image, url)
    done = migrate(glance)
    assert done.status == 1
    assert done.by_image() == {image: 'failed'}
    assert 'collection' in done.rows[0]['Detail']
    assert url_of(glance, image)[0] == url
    assert PASSWORD not in done.out + done.err
