# SPDX-License-Identifier: Apache-2.0


"""What the page on stores says of changing them."""

import pytest

from tests.functional import helpers
from tests.harness import Client

pytestmark = pytest.mark.functional


@pytest.fixture
def client(glance):
    return Client(glance)


def test_the_only_copy_of_an_image_is_not_deleted(client):
    image_id = client.create_image(b'alone')
    answer = client.request('DELETE', f'/stores/src/{image_id}')
    assert answer.status_code == 403
    assert client.download(image_id) == b'alone'


def test_a_store_that_was_renamed_is_found_by_its_locations(make_glance):
    """Its directory is the same, and its name in locations an older one."""
    with make_glance('renamed', stores=('src', 'former')) as server:
        client = Client(server)
        image_id = client.create_image(b'kept')
        assert client.copy_and_wait(image_id, ['former'])['status'] == (
            'success'
        )
        server.stop()
        server.store_dirs['latter'] = server.places['former']
        server.stores = ('src', 'latter')
        server.start()
        assert client.stores(image_id) == ['src', 'latter']
        assert sorted(helpers.rows(server, image_id)) == ['latter', 'src']
        client.delete(image_id)
        assert not list(server.places['latter'].iterdir())
