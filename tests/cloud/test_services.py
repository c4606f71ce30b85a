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

"""The services themselves, and a Glance that has the stock drivers."""

import json

import pytest

from tests.cloud.services import cloud as cloud_services
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')


def wait_status(cinder, volume, status):
    """Wait until a volume has a status; return the volume."""
    def reached():
        found = cinder.volumes.get(volume.id)
        assert not found.status.startswith('error'), found.status
        return found if found.status == status else None

    return helpers.wait_until(reached, f'volume {volume.id} {status}')


def images(cloud, pool):
    """Return the names of the images in a pool of Ceph."""
    return json.loads(cloud.ceph.run('rbd', 'ls', pool, '--format', 'json'))


def test_every_service_runs_and_answers(cloud, block):
    assert cloud.missing() == []
    assert cloud.database.answers()
    health = json.loads(cloud.ceph.run('ceph', 'osd', 'stat', '-f', 'json'))
    assert health['num_up_osds'] == 1
    states = {
        (each.binary, each.host): each.state
        for each in block('admin').services.list()
    }
    assert states == {
        ('cinder-scheduler', 'cloud'): 'up',
        ('cinder-volume', 'cloud@fast'): 'up',
        ('cinder-volume', 'cloud@slow'): 'up',
    }


@pytest.mark.parametrize('user', ['glance', 'glance2', 'demo'])
def test_each_user_logs_in_to_its_own_project(cloud, user):
    session = cloud.session(user)
    catalog = session.auth.get_access(session).service_catalog
    assert {'block-storage', 'image', 'identity'} <= set(
        catalog.get_endpoints()
    )
    projects = {
        name: cloud.session(name).get_project_id()
        for name in ('admin', 'glance', 'glance2', 'demo')
    }
    assert len(set(projects.values())) == len(projects)


@pytest.mark.parametrize('pool, other', [('fast', 'slow'), ('slow', 'fast')])
def test_a_volume_type_decides_about_the_pool(cloud, block, pool, other):
    cinder = block('glance')
    volume = cinder.volumes.create(1, volume_type=f'glance-{pool}')
    wait_status(cinder, volume, 'available')
    assert images(cloud, pool) == [f'volume-{volume.id}']
    assert images(cloud, other) == []
    volume.delete()


def test_the_private_type_is_refused_to_others_than_the_admin(block):
    from cinderclient import exceptions

    names = {each.name for each in block('admin').volume_types.list(
        is_public=None
    )}
    assert 'glance-private' in names
    with pytest.raises(exceptions.NotFound):
        block('glance').volumes.create(1, volume_type='glance-private')


def test_glance_copies_to_both_types_of_volumes_and_back(
    cloud, glance, as_user, block
):
    client = as_user(glance)
    content = helpers.data(20 * MIB)
    image_id = client.create_image(content)
    task = client.copy_and_wait(image_id, ['fast', 'slow'])
    assert task['status'] == 'success', task
    for pool in ('fast', 'slow'):
        url = helpers.rows(glance, image_id)[pool]
        assert images(cloud, pool) == [f'volume-{url.rpartition("/")[2]}']
    assert len(block('glance').volumes.list()) == 2
    client.delete(image_id, store='local')
    assert client.download(image_id) == content
    client.delete(image_id, store='fast')
    assert client.stores(image_id) == ['slow']
    assert client.download(image_id) == content
    client.delete(image_id)


def test_glance_copies_from_one_pool_of_images_to_another(
    cloud, glance, as_user
):
    client = as_user(glance)
    content = helpers.data(9 * MIB)
    image_id = client.create_image(content, store='images-a')
    task = client.copy_and_wait(image_id, ['images-b'])
    assert task['status'] == 'success', task
    assert images(cloud, 'images-b') == [image_id]
    client.delete(image_id, store='images-a')
    assert client.download(image_id) == content
    client.delete(image_id)


def test_a_glance_asks_keystone_who_it_is(glance, as_user):
    assert as_user(glance, 'demo').request('GET', '/images').ok
    answer = as_user(glance).request('GET', '/images', token='unknown')
    assert answer.status_code == 401


@pytest.mark.parametrize('name', cloud_services.SERVICES)
def test_a_killed_service_is_found_and_started_anew(cloud, block, name):
    for process in cloud.processes.members(name):
        process.kill()
    helpers.wait_until(lambda: cloud.missing() == [name], f'{name} missing')
    cloud.up()
    assert cloud.missing() == []
    cinder = block('glance')
    volume = cinder.volumes.create(1, volume_type='glance-slow')
    wait_status(cinder, volume, 'available').delete()
