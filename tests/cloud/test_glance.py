# SPDX-License-Identifier: Apache-2.0

"""A Glance that asks Keystone and has the stock drivers."""

from concurrent import futures

import pytest

from glance_copy_plugin.audit import findings
from tests.cloud import helpers
from tests.cloud.services import stores
from tests.functional import helpers as data
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')
COPIES = 12


def test_it_copies_to_both_types_of_volumes_and_back(
    cloud, glance, as_user, block
):
    client = as_user(glance)
    content = data.data(20 * MIB)
    image_id = client.create_image(content)
    task = client.copy_and_wait(image_id, ['fast', 'slow'])
    assert task['status'] == 'success', task
    volumes = set()
    for pool in ('fast', 'slow'):
        volume_id = helpers.volume_of(glance, image_id, pool)
        assert helpers.images(cloud, pool) == [f'volume-{volume_id}']
        volumes.add(volume_id)
    assert {each.id for each in block('glance').volumes.list()} == volumes
    client.delete(image_id, store='local')
    assert client.download(image_id) == content
    client.delete(image_id, store='fast')
    assert client.stores(image_id) == ['slow']
    assert client.download(image_id) == content
    client.delete(image_id)


def test_it_copies_from_one_pool_of_images_to_another(cloud, glance, as_user):
    client = as_user(glance)
    content = data.data(9 * MIB)
    image_id = client.create_image(content, store='images-a')
    task = client.copy_and_wait(image_id, ['images-b'])
    assert task['status'] == 'success', task
    assert helpers.images(cloud, 'images-b') == [image_id]
    client.delete(image_id, store='images-a')
    assert client.download(image_id) == content
    client.delete(image_id)


def test_copies_that_begin_at_once_all_begin(start_glance, as_user):
    """MariaDB ends transactions of some of them for the sake of others."""
    server = start_glance(
        'at_once', {'local': stores.file(), 'other': stores.file()},
        threads=COPIES,
    )
    client = as_user(server)
    for _round in range(3):
        image_ids = [client.create_image(b'data') for _each in range(COPIES)]
        with futures.ThreadPoolExecutor(COPIES) as pool:
            answers = list(pool.map(
                lambda image_id: as_user(server).copy(image_id, ['other']),
                image_ids,
            ))
        assert {answer.status_code for answer in answers} == {202}
        for image_id in image_ids:
            assert client.wait_copy(image_id)['status'] == 'success'
            client.delete(image_id)
    server.stop()


def test_a_store_of_the_second_user_has_its_volumes_in_its_project(
    cloud, start_glance, as_user, block
):
    server = start_glance('second_user', {
        'local': stores.file(),
        'fast': stores.cinder(cloud, 'glance-fast', user='glance2'),
    })
    client = as_user(server)
    image_id = client.create_image(b'data')
    task = client.copy_and_wait(image_id, ['fast'])
    assert task['status'] == 'success', task
    (volume,) = block('glance2').volumes.list()
    assert volume.id == helpers.volume_of(server, image_id, 'fast')
    assert block('glance').volumes.list() == []
    client.delete(image_id)
    server.stop()


def test_a_copy_to_a_type_that_is_refused_leaves_nothing(
    cloud, start_glance, as_user
):
    server = start_glance('private', {
        'local': stores.file(),
        'private': stores.cinder(cloud, 'glance-private'),
    })
    client = as_user(server)
    image_id = client.create_image(b'data')
    task = client.copy_and_wait(image_id, ['private'])
    assert task['status'] == 'failure'
    assert client.wait_unlocked(image_id)['stores'] == 'local'
    client.delete(image_id)
    server.stop()


def test_it_asks_keystone_who_somebody_is(glance, as_user):
    assert as_user(glance, 'demo').request('GET', '/images').ok
    answer = as_user(glance).request('GET', '/images', token='unknown')
    assert answer.status_code == 401


def test_its_configuration_is_for_its_owner_alone(cloud, glance):
    assert cloud.place.password('glance') in glance.conf.read_text()
    assert glance.conf.stat().st_mode & 0o077 == 0


def test_no_password_is_in_its_log(cloud, glance):
    text = glance.log.read_text()
    for name in ('glance', 'glance2', 'mariadb'):
        assert cloud.place.password(name) not in text


def test_its_files_are_audited_with_all_its_stores(glance, as_user):
    client = as_user(glance)
    image_id = client.create_image(b'data')
    glance.store_file('local', image_id).unlink()
    found = glance.invariants.check(verify=False)
    assert [(each.kind, each.image_id) for each in found] == [
        (findings.MISSING, image_id)
    ]
    client.request('DELETE', f'/images/{image_id}')
