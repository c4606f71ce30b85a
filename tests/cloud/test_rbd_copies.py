# SPDX-License-Identifier: Apache-2.0

"""Copies that Ceph's manager makes, asked for through a real Glance."""

import pytest

from glance_copy_plugin.transfer import progress
from tests.cloud import helpers as cloud_helpers
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness.client import ENDED

pytestmark = pytest.mark.usefixtures('nothing_left')

IMAGE = helpers.data(200 * MIB + 5)
# For the user of the target: its own pool, and reading the other one.
OWN, BOTH = 'profile rbd pool={b}', (
    'profile rbd pool={b}, profile rbd-read-only pool={a}'
)
MANAGE = ('mgr', 'profile rbd')


@pytest.fixture(scope='module')
def pools(new_pools):
    """The names of two pools, and of a user of each."""
    new_pools.make('copies-a', 'copies-b')
    return {'a': new_pools.name('copies-a'), 'b': new_pools.name('copies-b')}


@pytest.fixture(scope='module')
def allow(pools, new_pools):
    """Give a function that says what the user of the second pool may do."""
    def caps(osd, *more):
        new_pools.allow(
            'copies-b', 'mon', 'profile rbd', 'osd', osd.format(**pools),
            *more,
        )

    new_pools.allow(
        'copies-a', 'mon', 'profile rbd', *MANAGE,
        'osd', f'profile rbd pool={pools["a"]}',
    )
    caps(OWN, *MANAGE)
    return caps


@pytest.fixture
def own_pools(pools):
    return list(pools.values())


@pytest.fixture(scope='module')
def server(cloud, start_glance, pools, allow):
    """A Glance whose tasks say it if bytes pass through it, for seconds."""
    return start_glance('rbd-copies', {
        'local': given.file(),
        'a': given.rbd(cloud.ceph, pools['a']),
        'b': given.rbd(cloud.ceph, pools['b']),
    }, {'copy_image': {
        'recovery_interval': 0.5, 'progress_interval': 0.1,
        'bandwidth_limit': 20 * MIB,
    }})


@pytest.fixture
def client(server, as_user):
    return as_user(server)


@pytest.fixture
def image(client, server):
    """An image that only the store a holds."""
    image_id = client.create_image(IMAGE, store='a')
    yield image_id
    client.delete(image_id)


def passes_through(server, task_id):
    """Return whether bytes pass through Glance, when the task has ended."""
    told = set()

    def ended():
        found = progress.parse(helpers.message(server, task_id)) or {}
        told.add(bool(found.get('staged')))
        return helpers.status(server, task_id) in ENDED

    helpers.wait_until(ended, 'the end of the task', timeout=240)
    return True in told


def test_the_image_does_not_pass_through_glance(
    cloud, server, client, image, allow, pools
):
    allow(BOTH, *MANAGE)
    task_id = helpers.start(client, image, ['b'])
    assert not passes_through(server, task_id)
    task = client.wait_copy(image, task_id)
    assert task['status'] == 'success', task['message']
    assert cloud_helpers.images(cloud, pools['b']) == [image]
    helpers.assert_unlocked(server, client, image)
    # It needs nothing of where it comes from.
    client.delete(image, store='a')
    assert client.download(image) == IMAGE
    server.invariants.assert_hold()


@pytest.mark.parametrize('rights', [
    # It does not see the image, or may not have the manager work.
    (OWN, *MANAGE), (BOTH,),
])
def test_a_user_without_the_rights_has_the_image_streamed(
    cloud, server, client, image, allow, pools, rights
):
    allow(*rights)
    task_id = helpers.start(client, image, ['b'])
    assert passes_through(server, task_id)
    assert client.wait_copy(image, task_id)['status'] == 'success'
    assert cloud_helpers.images(cloud, pools['b']) == [image]


def test_a_killed_glance_finishes_the_copy(
    cloud, server, client, image, allow, pools
):
    allow(BOTH, *MANAGE)
    task_id = helpers.start(client, image, ['b'])
    helpers.wait_until(
        lambda: cloud_helpers.images(cloud, pools['b']), 'a clone',
    )
    server.kill()
    server.start()
    task = client.wait_copy(image, task_id, timeout=240)
    assert task['status'] == 'success', task['message']
    assert cloud_helpers.images(cloud, pools['b']) == [image]
    client.delete(image, store='a')
    assert client.download(image) == IMAGE
