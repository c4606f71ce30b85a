# SPDX-License-Identifier: Apache-2.0

"""What a test has left behind in Cinder, in Ceph and in temporary folders."""

from concurrent import futures
import itertools
import json
import time

from tests.cloud.services import ceph

EVERYBODY = {'all_tenants': 1}
SETTLE_SECONDS = 60
INTERVAL = 0.5


def find(cloud, servers=()):
    """Return a line for each thing that is there now.

    :param servers: ``CloudGlance`` servers whose files are looked at
    """
    return [
        *_in_cinder(cloud.cinder()),
        *_in_ceph(cloud.ceph),
        *(f'temporary file {path}' for server in servers
          for path in server.temporary_files()),
    ]


def assert_none(cloud, servers=(), timeout=SETTLE_SECONDS):
    """Wait until nothing is there; fail with a list if that never happens.

    What is being deleted takes its time. What is left is removed, so that
    the next test does not find it.
    """
    deadline = time.monotonic() + timeout
    cinder = cloud.cinder()
    # What is in Cinder is in Ceph too, where looking takes longer.
    while left := [*_in_cinder(cinder)] or find(cloud, servers):
        if time.monotonic() > deadline:
            left = find(cloud, servers) or left
            remove(cloud, servers)
            raise AssertionError(
                f'left behind after {timeout} s:\n  ' + '\n  '.join(left)
            )
        time.sleep(INTERVAL)


def remove(cloud, servers=()):
    """Remove everything that :func:`find` finds."""
    _remove_from_cinder(cloud.cinder())
    for pool, image in _images(cloud.ceph):
        _remove_image(cloud.ceph, f'{pool}/{image}')
    for pool in ceph.POOLS:
        cloud.ceph.run('rbd', 'trash', 'purge', pool)
    for server in servers:
        for path in server.temporary_files():
            path.unlink()


def _remove_image(cluster, name):
    for snapshot in json.loads(
        cluster.run('rbd', '--format', 'json', 'snap', 'ls', name)
    ):
        if snapshot['protected'] == 'true':
            cluster.run(
                'rbd', 'snap', 'unprotect', f'{name}@{snapshot["name"]}'
            )
    cluster.run('rbd', 'snap', 'purge', name)
    cluster.run('rbd', 'rm', name)


def _remove_from_cinder(cinder):
    for attachment in cinder.attachments.list(search_opts=EVERYBODY):
        cinder.attachments.delete(attachment.id)
    for snapshot in cinder.volume_snapshots.list(search_opts=EVERYBODY):
        cinder.volume_snapshots.delete(snapshot, force=True)
    # A volume is not deleted before its snapshots are.
    _wait_gone(cinder.volume_snapshots)
    for volume in cinder.volumes.list(search_opts=EVERYBODY):
        if volume.status != 'deleting':
            cinder.volumes.reset_state(volume, 'error', 'detached')
            cinder.volumes.delete(volume)
    _wait_gone(cinder.volumes)


def _in_cinder(cinder):
    for volume in cinder.volumes.list(search_opts=EVERYBODY):
        yield f'volume {volume.id} {volume.name} {volume.status}'
    for snapshot in cinder.volume_snapshots.list(search_opts=EVERYBODY):
        yield f'snapshot {snapshot.id} {snapshot.status}'
    for each in cinder.attachments.list(search_opts=EVERYBODY):
        yield f'attachment {each.id} of {each.volume_id} {each.status}'


def _in_ceph(cluster):
    for pool, image in _images(cluster):
        yield f'rbd image {pool}/{image}'
    for pool, each in _ask(cluster, 'trash', 'ls'):
        yield f'rbd image {pool}/{each["name"]} in the trash'


def _images(cluster):
    """Return (pool, image) for each image in Ceph."""
    return _ask(cluster, 'ls')


def _ask(cluster, *words):
    """Return (pool, what rbd lists there) for all pools."""
    def ask(pool):
        text = cluster.run('rbd', '--format', 'json', *words, pool)
        return [(pool, found) for found in json.loads(text)]

    with futures.ThreadPoolExecutor() as pools:
        return [*itertools.chain(*pools.map(ask, ceph.POOLS))]


def _wait_gone(things):
    deadline = time.monotonic() + SETTLE_SECONDS
    while found := things.list(search_opts=EVERYBODY):
        if time.monotonic() > deadline:
            raise AssertionError(f'cannot be removed: {found}')
        time.sleep(INTERVAL)
