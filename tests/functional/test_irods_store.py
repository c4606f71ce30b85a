# SPDX-License-Identifier: Apache-2.0

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import irods

pytestmark = pytest.mark.functional

IMAGE = helpers.data(5 * MIB + 3)
RANGES = [(0, 0), (0, 999), (MIB, 3 * MIB), (5 * MIB, 5 * MIB + 2)]


@pytest.fixture(scope='module')
def settings(zone):
    """The options of a Glance that logs all it can."""
    return {
        'DEFAULT': {'debug': 'true'},
        'archive': zone.settings(chunk_size=MIB),
        'vault': zone.settings(path=zone.vault),
    }


BACKENDS = {'archive': 'irods', 'vault': 'irods'}


@pytest.fixture(scope='module', params=[True, False], ids=['plugin', 'stock'])
def glance(request, start_glance, settings):
    """A Glance of two processes, with the filter and without."""
    return start_glance(
        f'irods-{request.param}', settings, backends=BACKENDS,
        plugin=request.param, workers=2,
    )


@pytest.fixture
def client(glance):
    return Client(glance)


def part(client, image_id, first, last):
    return client.demand('GET', f'/images/{image_id}/file', headers={
        'Range': f'bytes={first}-{last}',
    })


def location(glance, image_id, store):
    [found] = [
        each for each in glance.locations(image_id)
        if each['metadata'].get('store') == store
    ]
    return found['url']


def test_an_image_is_uploaded_downloaded_and_deleted(zone, glance, client):
    image_id = client.create_image(IMAGE, 'archive')
    path = f'{zone.collection}/{image_id}'
    assert zone.server.content(path) == IMAGE
    assert location(glance, image_id, 'archive') == f'irods:/{path}'
    image = client.image(image_id)
    assert (image['size'], image['status']) == (len(IMAGE), 'active')
    assert client.download(image_id) == IMAGE
    client.delete(image_id)
    assert path not in zone.server.objects()


@pytest.mark.parametrize(('first', 'last'), RANGES)
def test_a_range_of_an_image_is_downloaded(
    zone, glance, client, first, last
):
    image_id = client.create_image(IMAGE, 'archive')
    before = zone.server.bytes_read
    answer = part(client, image_id, first, last)
    assert answer.status_code == 206
    assert answer.content == IMAGE[first:last + 1]
    assert zone.server.bytes_read - before == last + 1 - first
    client.delete(image_id)


def test_an_image_is_copied_into_the_zone_and_out_of_it(
    zone, glance, client
):
    image_id = client.create_image(IMAGE)
    task = client.copy_and_wait(image_id, ['archive', 'vault'])
    assert task['status'] == 'success', task['message']
    assert sorted(client.stores(image_id)) == ['archive', 'src', 'vault']
    for store, collection in (
        ('archive', zone.collection),
        ('vault', zone.collection.replace('images', 'vault')),
    ):
        path = f'{collection}/{image_id}'
        assert zone.server.content(path) == IMAGE
        assert location(glance, image_id, store) == f'irods:/{path}'
    client.delete(image_id, 'src')
    client.delete(image_id, 'vault')
    assert client.download(image_id) == IMAGE
    task = client.copy_and_wait(image_id, ['s1'])
    assert task['status'] == 'success', task['message']
    assert glance.store_file('s1', image_id).read_bytes() == IMAGE
    client.delete(image_id)
    assert zone.objects() == []


def test_an_upload_that_the_zone_cannot_take_leaves_nothing(
    zone, glance, client
):
    image_id = client.new_image()
    small = IMAGE[:100]
    zone.server.resource().vault.capacity = zone.server.resource().vault.used
    try:
        answer = client.request(
            'PUT', f'/images/{image_id}/file', data=small, headers={
                'Content-Type': 'application/octet-stream',
                'X-Image-Meta-Store': 'archive',
            },
        )
    finally:
        zone.server.resource().vault.capacity = None
    assert answer.status_code == 413
    assert zone.objects() == []
    client.upload(image_id, small, 'archive')
    assert client.download(image_id) == small
    client.delete(image_id)


def test_a_zone_that_goes_comes_back_to_a_running_glance(
    zone, glance, client
):
    image_id = client.create_image(IMAGE, 'archive')
    zone.server.stop()
    answer = client.request('GET', f'/images/{image_id}/file')
    assert answer.status_code >= 400
    zone.server.start()
    assert client.download(image_id) == IMAGE
    client.delete(image_id)


def test_no_password_stands_in_a_log_or_a_record(zone, glance, client):
    image_id = client.create_image(IMAGE, 'archive')
    client.copy_and_wait(image_id, ['vault'])
    written = helpers.log_of(glance) + str(client.image(image_id))
    written += str(client.tasks(image_id)) + str(glance.locations(image_id))
    client.delete(image_id)
    assert 'irods_store_user' in written
    assert irods.PASSWORD not in written
