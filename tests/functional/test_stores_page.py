# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


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
