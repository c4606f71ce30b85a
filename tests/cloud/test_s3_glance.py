# SPDX-License-Identifier: Apache-2.0

"""Copies into, out of and within S3, asked for through a real Glance."""

import pytest

from tests.cloud import helpers as cloud_helpers
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

# So many copies are interrupted, so many of them at the most by one kill.
INTERRUPTED, COPIES = 20, 10
SIZE = 24 * MIB + 5
NO_BUCKET = 'glance-has-no-such-bucket'


@pytest.fixture(scope='module')
def places(buckets, cloud):
    """The buckets of two stores, on a server that others do not use."""
    cloud.start(cloud.radosgw_2)
    return {
        name: buckets.make(f'glance-{name}', cloud.radosgw_2)
        for name in ('a', 'b')
    }


@pytest.fixture(scope='module')
def server(start_glance, places, buckets):
    def store(bucket, **more):
        return {
            'driver': 's3', **buckets.options(
                bucket, s3_store_large_object_size=5,
                s3_store_large_object_chunk_size=5, **more,
            ),
        }

    made = start_glance('s3', {
        'local': given.file(),
        **{name: store(bucket) for name, bucket in places.items()},
        'nowhere': store(places['a'], s3_store_bucket=NO_BUCKET),
    }, {'DEFAULT': {'debug': True}, 'copy_image': {
        'recovery_interval': 0.5, 'retries': 8,
        'store_bandwidth_limits': f'b:{8 * MIB}',
    }})
    made.invariants.stores = ['a', 'b']
    return made


@pytest.fixture
def client(server, as_user):
    return as_user(server)


@pytest.fixture
def image(client):
    with cloud_helpers.uploading(client, SIZE) as make:
        yield make


def test_from_bucket_to_bucket_no_byte_passes_through_glance(
    server, client, image, places
):
    image_id, content = image('a', 64 * MIB)
    before = cloud_helpers.moved(server)
    task = helpers.copy(client, image_id, ['b'])
    assert task['status'] == 'success', task['message']
    # Requests and records take some.
    assert cloud_helpers.moved(server) - before < 4 * MIB
    helpers.assert_unlocked(server, client, image_id)
    client.delete(image_id, store='a')
    assert places['a'].keys() == []
    assert client.download(image_id) == content


def test_an_image_goes_into_s3_and_out_of_it(server, client, image, places):
    image_id, content = image('local')
    assert helpers.copy(client, image_id, ['a'])['status'] == 'success'
    assert places['a'].content(image_id) == content
    assert '@' not in helpers.rows(server, image_id)['a']
    client.delete(image_id, store='local')
    assert helpers.copy(client, image_id, ['local'])['status'] == 'success'
    assert server.store_file('local', image_id).read_bytes() == content


def test_a_bucket_that_is_not_there_is_named(client, image):
    for store in ('a', 'local'):
        image_id, _content = image(store)
        task = helpers.copy(client, image_id, ['nowhere'])
        assert task['status'] == 'failure'
        assert f'{NO_BUCKET} does not exist' in task['message']
        assert 's3_store_create_bucket_on_put' in task['message']


def test_a_used_up_quota_is_told_and_nothing_stays(
    client, image, places, buckets
):
    image_id, _content = image('a')
    buckets.quota(SIZE + 5 * MIB)
    try:
        task = helpers.copy(client, image_id, ['b'])
    finally:
        buckets.quota(None)
    assert task['status'] == 'failure'
    assert 'no space left: the quota of the bucket' in task['message']
    assert places['b'].keys() + places['b'].uploads() == []


def test_a_server_that_is_away_for_a_while_is_waited_for(
    cloud, client, image, server
):
    image_id, content = image('a')
    cloud.radosgw_2.stop()
    try:
        task_id = helpers.start(client, image_id, ['local'])
        helpers.wait_until(
            lambda: 'Trying again' in helpers.log_of(server),
            'a request that failed',
        )
    finally:
        cloud.start(cloud.radosgw_2)
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert server.store_file('local', image_id).read_bytes() == content


def test_a_key_of_earlier_times_is_in_no_log(server, client, image, buckets):
    secret = 'an-old/secret'
    image_id, content = image('a')
    url = helpers.rows(server, image_id)['a']
    server.execute(
        'UPDATE image_locations SET value = :value WHERE image_id = :image '
        'AND NOT deleted', image=image_id,
        value=url.replace('s3://', f's3+http://old-key:{secret}@'),
    )
    task = helpers.copy(client, image_id, ['local'])
    assert task['status'] == 'success', task['message']
    assert server.store_file('local', image_id).read_bytes() == content
    log = helpers.log_of(server)
    assert secret not in log
    assert not any(
        buckets.key(user)[1] in log
        for user in ('conformance', 'conformance-reader')
    )


def test_a_glance_killed_at_random_moments_finishes_all_copies(
    server, client, image, places
):
    def begin():
        begun = [image('local')[0] for _ in range(COPIES)]
        for image_id in begun:
            helpers.start(client, image_id, ['a', 'b'])
        return begun

    images = cloud_helpers.kill_until_interrupted(
        server, begin, places['b'].uploads, INTERRUPTED
    )
    for bucket in places.values():
        assert set(bucket.keys()) == images
        assert bucket.uploads() == []
