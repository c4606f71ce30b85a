# SPDX-License-Identifier: Apache-2.0

"""Images in iRODS, through a real Glance and the replicator."""

import hashlib

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import irods

pytestmark = pytest.mark.functional

IMAGE = helpers.data(5 * MIB + 3)
SERVICE = 'admin:admin:admin,member,reader,service'


@pytest.fixture(scope='module')
def glance(start_glance, zone):
    """A Glance that logs all it can."""
    return start_glance('irods', {
        'DEFAULT': {'debug': 'true'},
        'archive': zone.settings(chunk_size=MIB),
        'vault': zone.settings(path=zone.vault),
    }, backends={'archive': 'irods', 'vault': 'irods'})


@pytest.fixture
def client(glance):
    return Client(glance)


@pytest.fixture
def image(zone, client):
    """An image that only the archive holds."""
    image_id = client.create_image(
        IMAGE, store='archive', name='in iRODS', tags=['x'], kind='y',
        visibility='public',
    )
    zone.server.counters.reset()
    yield image_id
    if client.request('GET', f'/images/{image_id}').status_code == 200:
        client.delete(image_id)


def in_vault(zone):
    return zone.server.objects(zone.vault)


def url_in(glance, image_id, store):
    [found] = [
        each for each in glance.locations(image_id)
        if each['metadata'].get('store') == store
    ]
    return found['url']


def test_an_image_is_uploaded_downloaded_and_deleted(
    zone, glance, client, image
):
    path = f'{zone.collection}/{image}'
    assert zone.server.content(path) == IMAGE
    assert url_in(glance, image, 'archive') == f'irods:/{path}'
    assert client.image(image)['size'] == len(IMAGE)
    assert client.download(image) == IMAGE
    client.delete(image)
    assert path not in zone.server.objects()


def test_a_range_of_an_image_is_downloaded(zone, client, image):
    answer = client.demand('GET', f'/images/{image}/file', headers={
        'Range': f'bytes={MIB}-{3 * MIB}',
    })
    assert answer.status_code == 206
    assert answer.content == IMAGE[MIB:3 * MIB + 1]
    assert zone.server.bytes_read == 2 * MIB + 1


def test_an_image_is_streamed_into_the_zone_and_out_of_it(
    zone, glance, client
):
    image_id = client.create_image(IMAGE)
    task = client.copy_and_wait(image_id, ['archive', 'vault'])
    assert task['status'] == 'success', task['message']
    for store, collection in (
        ('archive', zone.collection), ('vault', zone.vault)
    ):
        path = f'{collection}/{image_id}'
        assert zone.server.content(path) == IMAGE
        assert url_in(glance, image_id, store) == f'irods:/{path}'
    client.delete(image_id, 'src')
    client.delete(image_id, 'vault')
    assert client.download(image_id) == IMAGE
    task = client.copy_and_wait(image_id, ['s1'])
    assert task['status'] == 'success', task['message']
    assert glance.store_file('s1', image_id).read_bytes() == IMAGE
    client.delete(image_id)
    assert zone.objects() == []


def test_an_image_goes_to_stores_of_both_kinds_at_once(
    zone, glance, client, image
):
    task = helpers.copy(client, image, ['vault', 's1'])
    assert task['status'] == 'success', task['message']
    # Read once for the file store, and not for the other.
    assert zone.server.bytes_read == len(IMAGE)
    assert zone.server.bytes_written == 0
    assert zone.server.content(f'{zone.vault}/{image}') == IMAGE
    helpers.assert_copied(glance, client, image, ['s1'])
    glance.invariants.assert_hold()


def test_a_spoiled_object_is_not_copied(zone, glance, client, image):
    zone.server.corrupt(f'{zone.collection}/{image}')
    task = helpers.copy(client, image, ['vault'])
    assert task['status'] == 'failure'
    assert 'sha512' in task['message']
    helpers.assert_unlocked(glance, client, image, failed=['vault'])
    assert in_vault(zone) == []


def test_an_image_that_is_deleted_while_the_zone_copies_leaves_nothing(
    zone, glance, client, image
):
    hanging = zone.server.faults.hang_on('copy')
    task_id = helpers.start(client, image, ['vault'])
    hanging.wait_until_reached()
    client.delete(image)
    # The zone cannot be told to stop; nobody waits for it.
    helpers.wait_ended(glance, task_id)
    assert helpers.status(glance, task_id) == 'failure'
    hanging.release()
    glance.invariants.wait_settled()
    assert in_vault(zone) == []
    assert zone.objects() == []


def test_no_password_stands_in_a_log_or_a_record(zone, glance, client, image):
    client.copy_and_wait(image, ['vault'])
    written = helpers.log_of(glance) + str(client.image(image))
    written += str(client.tasks(image)) + str(glance.locations(image))
    assert 'irods_store_user' in written
    assert irods.PASSWORD not in written


# Between two clouds that share the zone.

@pytest.fixture(scope='module')
def target(start_glance, zone):
    """A cloud that believes the hashes that it is told."""
    zone.theirs = zone.add_collection('theirs')
    return start_glance('irods-to', {
        'vault': zone.settings(path=zone.theirs),
        'DEFAULT': {'do_secure_hash': 'false'},
    }, backends={'vault': 'irods'})


def test_a_replicated_image_passes_through_no_client(
    zone, glance, client, target, image
):
    with replicating.emptied(target):
        done = replicating.run(
            *replicating.arguments(
                'livecopy', glance, target, token=SERVICE
            ),
            '--via-irods', f'--irods-config={target.conf}',
            '--irods-store=vault',
        )
        assert done.status == 0, done
        assert done.by_image() == {image: 'copied'}
        assert zone.server.bytes_read == zone.server.bytes_written == 0
        found, ours = Client(target).image(image), client.image(image)
        for name in ('os_hash_algo', 'os_hash_value', 'size', 'name', 'tags',
                     'visibility', 'kind'):
            assert found[name] == ours[name], name
        assert found['stores'] == 'vault'
        data = Client(target).download(image)
        assert hashlib.sha512(data).hexdigest() == ours['os_hash_value']
        path = f'{zone.theirs}/{image}'
        assert zone.server.objects(zone.theirs) == [path]
