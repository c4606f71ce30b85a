# SPDX-License-Identifier: Apache-2.0

"""A Glance that asks Keystone and has the stock drivers."""

from concurrent import futures

import pytest

from glance_copy_plugin.audit import findings
from tests.cloud import helpers
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
        assert f'volume-{volume_id}' in helpers.images(cloud, pool)
        volumes.add(volume_id)
    assert {each.id for each in block('glance').volumes.list()} == volumes
    client.delete(image_id, store='local')
    assert client.download(image_id) == content
    client.delete(image_id, store='fast')
    assert client.stores(image_id) == ['slow']
    assert client.download(image_id) == content
    client.delete(image_id)


def test_copies_that_begin_at_once_all_begin(glance, as_user):
    """MariaDB ends transactions of some of them for the sake of others."""
    client = as_user(glance)
    for _round in range(2):
        image_ids = [client.create_image(b'data') for _each in range(COPIES)]
        with futures.ThreadPoolExecutor(COPIES) as pool:
            answers = list(pool.map(
                lambda image_id: as_user(glance).copy(image_id, ['other']),
                image_ids,
            ))
        assert {answer.status_code for answer in answers} == {202}
        for image_id in image_ids:
            assert client.wait_copy(image_id)['status'] == 'success'
            client.delete(image_id)


def test_it_asks_keystone_who_somebody_is(glance, as_user):
    assert as_user(glance, 'demo').request('GET', '/images').ok
    answer = as_user(glance).request('GET', '/images', token='unknown')
    assert answer.status_code == 401


def test_its_configuration_is_for_its_owner_alone(cloud, glance):
    assert cloud.password('glance') in glance.conf.read_text()
    assert glance.conf.stat().st_mode & 0o077 == 0


def test_no_password_is_in_its_log(cloud, glance):
    text = glance.log.read_text()
    for name in ('glance', 'mariadb'):
        assert cloud.password(name) not in text


def test_its_files_are_audited_with_all_its_stores(glance, as_user):
    client = as_user(glance)
    image_id = client.create_image(b'data')
    glance.store_file('local', image_id).unlink()
    found = glance.invariants.check(verify=False)
    assert [(each.kind, each.image_id) for each in found] == [
        (findings.MISSING, image_id)
    ]
    client.request('DELETE', f'/images/{image_id}')
