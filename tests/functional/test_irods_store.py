# SPDX-License-Identifier: Apache-2.0

"""The iRODS driver in a Glance without the plugin."""

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = [pytest.mark.functional, pytest.mark.long]

IMAGE = helpers.data(5 * MIB + 3)


@pytest.fixture(scope='module')
def client(start_glance, zone):
    """A client of a Glance of two processes."""
    return Client(start_glance(
        'irods-stock', {'archive': zone.settings(chunk_size=MIB)},
        backends={'archive': 'irods'}, plugin=False, workers=2,
    ))


def test_an_image_is_uploaded_downloaded_and_deleted(zone, client):
    image_id = client.create_image(IMAGE, 'archive')
    assert zone.server.content(f'{zone.collection}/{image_id}') == IMAGE
    assert client.download(image_id) == IMAGE
    client.delete(image_id)
    assert zone.objects() == []


def test_an_upload_that_the_zone_cannot_take_leaves_nothing(zone, client):
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


def test_a_zone_that_goes_comes_back_to_a_running_glance(zone, client):
    image_id = client.create_image(IMAGE, 'archive')
    zone.server.stop()
    answer = client.request('GET', f'/images/{image_id}/file')
    assert answer.status_code >= 400
    zone.server.start()
    assert client.download(image_id) == IMAGE
    client.delete(image_id)
