# SPDX-License-Identifier: Apache-2.0

"""Copies into, out of and within Swift, asked for through a real Glance."""

import pytest

from glance_copy_plugin.audit import findings
from tests.cloud import containers as swift_containers
from tests.cloud import helpers as cloud_helpers
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

# So many copies are interrupted, so many of them at the most by one kill.
INTERRUPTED, COPIES = 20, 10
SIZE = 24 * MIB + 5
NOWHERE = 'glance-has-no-such-container'
READER = swift_containers.READER


@pytest.fixture(scope='module')
def places(containers, cloud):
    """The containers of the stores, on a proxy that others do not use."""
    cloud.start(cloud.swift_2)
    made = {name: containers.make(f'glance-{name}') for name in ('a', 'b')}
    client = containers.connect(READER)
    made['theirs'] = swift_containers.Container(client, 'glance-theirs')
    client.put_container('glance-theirs')
    return made


@pytest.fixture(scope='module')
def server(start_glance, places, containers, cloud):
    def store(name, user=swift_containers.WRITER, **more):
        return {'driver': 'swift', **containers.options(
            places[name], user, cloud.swift_2,
            swift_store_large_object_size=10,
            swift_store_large_object_chunk_size=5, **more,
        )}

    account = containers.connect(READER).get_auth()[0].rpartition('/')[2]
    made = start_glance('swift', {
        'local': given.file(),
        'a': store('a'), 'b': store('b'),
        'theirs': {**store('theirs', READER), 'swift_store_endpoint':
                   f'{cloud.swift_2.url}/v1/{account}'},
        'nowhere': store('a', swift_store_container=NOWHERE),
    }, {'DEFAULT': {'debug': True}, 'copy_image': {
        'recovery_interval': 0.5, 'retries': 8,
        'store_bandwidth_limits': f'b:{8 * MIB}',
    }})
    made.invariants.stores = ['a', 'b', 'theirs']
    return made


@pytest.fixture
def client(server, as_user):
    return as_user(server)


@pytest.fixture
def image(client):
    with cloud_helpers.uploading(client, SIZE) as make:
        yield make


def test_within_swift_no_byte_passes_through_glance(
    server, client, image, places
):
    image_id, content = image('local', 64 * MIB + 5)
    assert helpers.copy(client, image_id, ['a'])['status'] == 'success'
    client.delete(image_id, store='local')
    for store in ('b', 'theirs'):
        before = cloud_helpers.moved(server)
        task = helpers.copy(client, image_id, [store])
        assert task['status'] == 'success', task['message']
        # Requests and records take some.
        assert cloud_helpers.moved(server) - before < 4 * MIB
    helpers.assert_unlocked(server, client, image_id)
    for store in ('a', 'b'):
        client.delete(image_id, store=store)
        assert places[store].keys() == []
    assert client.download(image_id) == content


def test_an_image_goes_into_swift_and_out_of_it(
    server, client, image, places
):
    image_id, content = image()
    assert helpers.copy(client, image_id, ['a'])['status'] == 'success'
    assert places['a'].content(image_id) == content
    assert helpers.rows(server, image_id)['a'] == places['a'].url(image_id)
    client.delete(image_id, store='local')
    assert helpers.copy(client, image_id, ['local'])['status'] == 'success'
    assert server.store_file('local', image_id).read_bytes() == content


def test_a_copy_that_is_gone_is_found_by_the_audit(
    server, client, image, places
):
    image_id, _content = image('local', MIB)
    assert helpers.copy(client, image_id, ['a'])['status'] == 'success'
    places['a'].remove(image_id)
    found = server.invariants.audit(stores=['a'], ways=['fix'])
    assert [(row['image_id'], row['kind']) for row in found] == [
        (image_id, findings.MISSING)
    ]


def test_what_the_driver_wrote_is_copied_and_its_password_in_no_log(
    server, client, image, places, cloud
):
    image_id, content = image('a', 5 * MIB)
    assert '@' in helpers.rows(server, image_id)['a']
    for store in ('b', 'local'):
        task = helpers.copy(client, image_id, [store])
        assert task['status'] == 'success', task['message']
    assert places['b'].content(image_id) == content
    assert '@' not in helpers.rows(server, image_id)['b']
    assert cloud.password(swift_containers.WRITER) not in (
        helpers.log_of(server)
    )


def test_a_container_that_is_not_there_is_named(client, image):
    image_id, _content = image()
    task = helpers.copy(client, image_id, ['nowhere'])
    assert task['status'] == 'failure'
    assert f'{NOWHERE} does not exist' in task['message']
    assert 'swift_store_create_container_on_put' in task['message']


def test_a_used_up_quota_is_told_and_nothing_stays(client, image, places):
    image_id, _content = image()
    assert helpers.copy(client, image_id, ['a'])['status'] == 'success'
    places['b'].limit(5 * MIB)
    try:
        task = helpers.copy(client, image_id, ['b'])
    finally:
        places['b'].limit('')
    assert task['status'] == 'failure'
    assert 'no space left: the quota of the container' in task['message']
    assert places['b'].keys() == []


def test_a_server_that_is_away_for_a_while_is_waited_for(
    cloud, client, image, server
):
    image_id, content = image()
    assert helpers.copy(client, image_id, ['a'])['status'] == 'success'
    client.delete(image_id, store='local')
    cloud.swift_2.stop()
    try:
        task_id = helpers.start(client, image_id, ['local'])
        helpers.wait_until(
            lambda: 'Trying again' in helpers.log_of(server),
            'a request that failed',
        )
    finally:
        cloud.start(cloud.swift_2)
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert server.store_file('local', image_id).read_bytes() == content


def test_a_glance_killed_at_random_moments_finishes_all_copies(
    server, client, image, places
):
    def begin():
        begun = [image()[0] for _ in range(COPIES)]
        for image_id in begun:
            helpers.start(client, image_id, ['b'])
        return begun

    def unfinished():
        keys = places['b'].keys()
        images = {key for key in keys if '.' not in key}
        return {key.partition('.')[0] for key in keys} - images

    images = cloud_helpers.kill_until_interrupted(
        server, begin, unfinished, INTERRUPTED
    )
    keys = places['b'].keys()
    assert {key for key in keys if '.' not in key} == images
    # Each has its five segments, and there are no others.
    assert len(keys) == 6 * len(images)
