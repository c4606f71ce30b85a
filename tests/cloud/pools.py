# SPDX-License-Identifier: Apache-2.0

"""Pools of Ceph for one process of tests, and stores in them."""

import contextlib
import importlib
import json

import pytest

from tests.functional import helpers
from tests.stores import conformance

USER, READER = 'conformance', 'conformance-reader'
# So many stores has a test, those of its sources among them.
COUNT = 4


class Pools:
    """Makes pools and users of them; their names end with the share.

    :param place: ``Place`` of the cloud
    :param ceph: ``Ceph``
    """

    def __init__(self, place, ceph):
        self._place, self._ceph = place, ceph
        self._rbd = importlib.import_module('rbd').RBD()
        self._cluster = importlib.import_module('rados').Rados(
            conffile=str(ceph.conf), rados_id='admin'
        )
        self._cluster.connect(timeout=300)

    def close(self):
        """End the connection."""
        self._cluster.shutdown()

    def _ask(self, prefix, **more):
        """Have the monitor do something; return what it answers."""
        status, answer, said = self._cluster.mon_command(
            json.dumps({'prefix': prefix, **more}), b''
        )
        assert not status, f'{prefix}: {said}'
        return answer.decode()

    def name(self, name):
        """Return what a pool or a user is called."""
        return f'{name}{self._place.share}'

    def make(self, *names):
        """Make pools that are missing; return them all."""
        found = [
            Pool(self._cluster, self.name(name), self._ceph) for name in names
        ]
        known = self._cluster.list_pools()
        for pool in found:
            if pool.name not in known:
                self._ask('osd pool create', pool=pool.name, pg_num=4)
                with self._cluster.open_ioctx(pool.name) as ioctx:
                    self._rbd.pool_init(ioctx, False)
        return found

    def evict(self, pool, image):
        """Evict the clients that have an image open for writing."""
        with self._cluster.open_ioctx(pool.name) as ioctx, self._opened(
            ioctx, image
        ) as opened:
            clients = [each['addr'] for each in opened.watchers_list()]
        for client in clients:
            self.evict_client(client)

    def evict_client(self, address):
        """Have the cluster refuse a client, as soon as it has heard of it."""
        self._ask('osd blocklist', blocklistop='add', addr=address)

    @contextlib.contextmanager
    def wrong_key(self, user):
        """Let a user's file hold a key that is not the user's."""
        keyring = self._ceph.user_keyring(self.name(user))
        right = keyring.read_text()
        other = self._ceph.user_keyring('admin').read_text()
        keyring.write_text(other.replace(
            '[client.admin]', f'[client.{self.name(user)}]'
        ))
        try:
            yield
        finally:
            keyring.write_text(right)

    def _opened(self, ioctx, image):
        return importlib.import_module('rbd').Image(
            ioctx, image, read_only=True
        )

    @contextlib.contextmanager
    def quota(self, pool, count):
        """Let a pool hold so many bytes, and have it be full now."""
        self._set_quota(pool, count)
        with self._cluster.open_ioctx(pool.name) as ioctx:
            ioctx.write_full('filler', bytes(count))
        try:
            helpers.wait_until(
                lambda: 'full_quota' in self._ask(
                    'osd pool ls', detail='detail'
                ), 'a full pool',
            )
            yield
        finally:
            self._set_quota(pool, 0)
            helpers.wait_until(
                lambda: 'full_quota' not in self._ask(
                    'osd pool ls', detail='detail'
                ), 'a pool with room',
            )
            with self._cluster.open_ioctx(pool.name) as ioctx:
                ioctx.remove_object('filler')

    def _set_quota(self, pool, count):
        self._ask(
            'osd pool set-quota', pool=pool.name, field='max_bytes',
            val=str(count),
        )

    def allow(self, user, *rights):
        """Make a user, or give one that is there other rights."""
        entity = f'client.{self.name(user)}'
        keyring = self._ceph.user_keyring(self.name(user))
        if not keyring.exists():
            self._place.write_private(
                keyring, self._ask('auth get-or-create', entity=entity)
            )
        self._ask('auth caps', entity=entity, caps=rights)


class RbdTarget(conformance.Target):
    """An rbd store with a pool of its own."""

    def __init__(self, name, pool, reader, configure):
        super().__init__(name)
        self.pool = pool
        self._reader = reader
        self._configure = configure

    def content(self, url):
        return self.pool.content(url.split('/')[-2])

    def objects(self):
        return self.pool.names()

    def plant(self, image_id, content):
        return self.pool.put(image_id, content)

    def refuse_writing(self):
        self._configure(rbd_store_user=self._reader)


class Pool:
    """A pool, as its administrator sees it.

    :param ceph: ``Ceph``, the cluster it is in
    """

    def __init__(self, cluster, name, ceph):
        self._cluster = cluster
        self._rbd = importlib.import_module('rbd')
        self.name = name
        self.ceph = ceph

    def _opened(self):
        return self._cluster.open_ioctx(self.name)

    def names(self):
        with self._opened() as ioctx:
            return self._rbd.RBD().list(ioctx)

    def put(self, name, content):
        """Make what the driver makes of an image; return its URL."""
        with self._opened() as ioctx:
            self._rbd.RBD().create(
                ioctx, name, len(content), old_format=False, features=61
            )
            with self._rbd.Image(ioctx, name) as image:
                image.write(content, 0)
                image.create_snap('snap')
                image.protect_snap('snap')
        return self.url(name)

    def put_sparse(self, name, size, content):
        """Make such an image with so much at its begin, and a hole."""
        with self._opened() as ioctx:
            self._rbd.RBD().create(
                ioctx, name, size, old_format=False, features=61
            )
            with self._rbd.Image(ioctx, name) as image:
                image.write(content, 0)
                image.create_snap('snap')
                image.protect_snap('snap')

    def url(self, name):
        """Return the URL of an image of Glance."""
        return f'rbd://{self._cluster.get_fsid()}/{self.name}/{name}/snap'

    def size_of(self, name):
        """Return the size of an image in bytes."""
        with self._opened() as ioctx, self._rbd.Image(
            ioctx, name, read_only=True
        ) as image:
            return image.size()

    def objects_of(self, name):
        """Return how many objects an image has."""
        found = []
        with self._opened() as ioctx, self._rbd.Image(
            ioctx, name, snapshot='snap', read_only=True
        ) as image:
            # Of nothing at all, librbd asks with an assertion that fails.
            if image.size():
                image.diff_iterate(
                    0, image.size(), None,
                    lambda start, length, exists: found.append(start),
                    whole_object=True,
                )
        return len(found)

    def unprotect(self, name):
        """Let the snapshot be removed, as long as nobody does."""
        with self._opened() as ioctx, self._rbd.Image(ioctx, name) as image:
            image.unprotect_snap('snap')

    def clone(self, name, to):
        """Make a volume of an image, as Nova and Cinder do."""
        with self._opened() as ioctx:
            self._rbd.RBD().clone(
                ioctx, name, 'snap', ioctx, to, features=61
            )

    def flatten(self, name):
        """Let a volume no longer depend on an image."""
        with self._opened() as ioctx, self._rbd.Image(ioctx, name) as image:
            image.flatten()

    def remove(self, name):
        """Remove an image without snapshots."""
        with self._opened() as ioctx:
            self._rbd.RBD().remove(ioctx, name)

    def content(self, name, snapshot='snap'):
        with self._opened() as ioctx, self._rbd.Image(
            ioctx, name, snapshot=snapshot, read_only=True
        ) as image:
            return image.read(0, image.size())

    def open(self, name):
        """Return an image that its client keeps open."""
        return self._rbd.Image(
            self._cluster.open_ioctx(self.name), name
        )

    def parent(self, name):
        """Return what an image refers to, or None."""
        with self._opened() as ioctx, self._rbd.Image(
            ioctx, name, read_only=True
        ) as image:
            try:
                return image.parent_info()
            except self._rbd.ImageNotFound:
                return None

    def empty(self):
        """Remove everything; fail if somebody still has it open."""
        with self._opened() as ioctx:
            for name in self._rbd.RBD().list(ioctx):
                with self._rbd.Image(ioctx, name) as image:
                    for snapshot in list(image.list_snaps()):
                        if snapshot['namespace']:
                            continue  # is being removed
                        if image.is_protected_snap(snapshot['name']):
                            image.unprotect_snap(snapshot['name'])
                        image.remove_snap(snapshot['name'])
                self._rbd.RBD().remove(ioctx, name)


def for_conformance(pools):
    """Return empty pools, and make two users; one of them only reads.

    :param pools: ``Pools``
    """
    names = [f'conformance-{number}' for number in range(COUNT)]
    found = pools.make(*names)
    for user, profile in ((USER, 'rbd'), (READER, 'rbd-read-only')):
        rights = ', '.join(
            f'profile {profile} pool={pool.name}' for pool in found
        )
        pools.allow(
            user, 'mon', 'profile rbd', 'mgr', 'profile rbd', 'osd', rights,
        )
    for pool in found:
        pool.empty()  # of what a killed process has left
    return found


class InPools:
    """Inherit this too; each store has a pool of its own."""

    @pytest.fixture
    def free_pools(self, conformance_pools):
        """Pools for the stores, in the order in which these are made."""
        return conformance_pools

    @pytest.fixture
    def make(self, configured, new_pools, free_pools):
        free = iter(free_pools)
        made = []

        def make_store(name):
            pool = next(free)
            made.append(pool)

            def configure(**more):
                configured(name, 'rbd', **{
                    'rbd_store_pool': pool.name,
                    'rbd_store_user': new_pools.name(USER),
                    'rbd_store_ceph_conf': str(pool.ceph.conf),
                    'rbd_store_chunk_size': 1, 'rados_connect_timeout': 120,
                    **more,
                })

            configure()
            return RbdTarget(
                name, pool, new_pools.name(READER), configure
            )

        yield make_store
        for pool in made:
            pool.empty()
