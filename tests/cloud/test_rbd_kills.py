# SPDX-License-Identifier: Apache-2.0

"""A real Glance that is killed while it copies to the Ceph of another site."""

import pytest

from tests.cloud import helpers as cloud_helpers
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

# So many copies are interrupted, so many of them at the most by one kill.
INTERRUPTED, COPIES = 20, 5
# Slow enough to be killed half-way.
BYTES_PER_SECOND = 3 * MIB
SIZE = 24 * MIB + 5
RIGHTS = ('mon', 'profile rbd', 'mgr', 'profile rbd', 'osd')


@pytest.fixture(scope='module')
def pools(new_pools, edge_pools):
    """A pool beside Cinder, and two at another site."""
    central, = new_pools.make('kills')
    new_pools.allow('kills', *RIGHTS, f'profile rbd pool={central.name}')
    edge, archive = edge_pools.make('kills', 'kills-archive')
    edge_pools.allow('kills', *RIGHTS, (
        f'profile rbd pool={edge.name}, profile rbd pool={archive.name}'
    ))
    return {'central': central, 'edge': edge, 'archive': archive}


@pytest.fixture(scope='module')
def server(cloud, start_glance, pools, new_pools):
    user = new_pools.name('kills')
    made = start_glance('rbd-kills', {
        'local': given.file(),
        **{name: given.rbd(pool.ceph, pool.name, rbd_store_user=user)
           for name, pool in pools.items()},
    }, {'copy_image': {
        'recovery_interval': 0.5,
        'store_bandwidth_limits': f'edge:{BYTES_PER_SECOND}',
    }})
    made.invariants.stores = ['central', 'edge', 'archive']
    return made


@pytest.fixture
def own_pools(pools):
    return [pools['central'].name]


def test_a_glance_killed_at_random_moments_finishes_all_copies(
    server, as_user, pools
):
    client = as_user(server)

    def begin():
        begun = [
            client.create_image(helpers.data(SIZE), store='central')
            for _ in range(COPIES)
        ]
        for image_id in begun:
            helpers.start(client, image_id, ['edge', 'archive'])
        return begun

    images = cloud_helpers.kill_until_interrupted(server, begin, lambda: [
        name for name in pools['edge'].names() if '.' in name
    ], INTERRUPTED)
    for pool in pools.values():
        assert set(pool.names()) == images
    for image_id in images:
        client.delete(image_id)
    assert [pool.names() for pool in pools.values()] == [[], [], []]
