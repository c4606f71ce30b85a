# SPDX-License-Identifier: Apache-2.0

"""Who takes part in the benchmark with a real OpenStack, and what is copied.

All have the same records, the same stores and the same images.
"""

import contextlib
import hashlib
import json
import pathlib
import shutil
import time

from tests.cloud import services
from tests.cloud.services import leftovers
from tests.cloud.services import stores
from tests.functional.helpers import wait_until
from tests.harness import Client
from tests.harness.client import ENDED
from tools import cloud_ways
from tools import contenders
from tools import images
from tools import rbd_tool
from tools import rclone_tool
from tools import s3_buckets
from tools import swift_containers

NAME = 'bench'
STOCK, PLUGIN = 'stock', 'plugin'
# {who: (with the plugin, the driver of the Cinder stores)}
GLANCES = {STOCK: (False, 'cinder'), PLUGIN: (True, 'cinder_multi')}
EVERYBODY = (*GLANCES, cloud_ways.RBD, cloud_ways.RCLONE)
CENTRAL, EDGE, FAR = 'ceph', 'edge', 'far'
# {store: the cluster that it has a pool in}
STORES = {
    'rbd-a': CENTRAL, 'rbd-b': CENTRAL, 'edge': EDGE, 'archive': EDGE,
    'far': FAR,
}
OBJECT_STORES = {
    s3_buckets.STORES: s3_buckets.Buckets,
    swift_containers.STORES: swift_containers.Containers,
}
# Of each cluster; it may use all pools there, or could not copy within it.
USER = 'bench'
LOOK_INTERVAL = 0.05


def order(number):
    """Return the contenders in the order of a round; each has its turns."""
    first = number % len(EVERYBODY)
    return EVERYBODY[first:] + EVERYBODY[:first]


def rank(run):
    """Sort runs as the table shows them."""
    ways = [way.says for way in cloud_ways.WAYS]
    return (
        run['size'], ways.index(run['stores']), EVERYBODY.index(run['who']),
        run['round'],
    )


class CloudBench:
    """Copies the same images again and again, and measures that.

    :param cloud: ``Cloud``, which runs and is empty
    :param parts: some of ``cloud_ways.PARTS``
    :param report: called with each measurement
    """

    def __init__(self, cloud, parts, report):
        self.runs = []
        self._ways = [way for part in parts for way in cloud_ways.PARTS[part]]
        used = {each for way in self._ways for each in way.targets}
        used |= {way.source for way in self._ways}
        self._clusters = {
            store: {CENTRAL: cloud.ceph, EDGE: cloud.edge, FAR: cloud.far}[at]
            for store, at in STORES.items() if store in used
        }
        self._used = used
        self._objects = {}
        self._cloud = cloud
        self._report = report
        self._images = {}
        self._checked = set()

    @contextlib.contextmanager
    def uploaded(self, sizes):
        """Have an image of each kind in each source, and small ones."""
        found = leftovers.Leftovers(self._cloud)
        if left := found.find():
            raise contenders.BenchFailed(
                'the OpenStack is not empty: ' + ', '.join(left)
            )
        self._make_pools()
        try:
            with self._glance(PLUGIN, keep=False) as (_server, client):
                for size in sorted({contenders.WARM_UP, *sizes}):
                    self._upload(client, size)
            self._rest = len(self._cloud.cinder('glance').volumes.list())
            yield
        finally:
            found.remove()
            for store, ceph in self._clusters.items():
                ceph.remove_pool(_pool(store))
            for each in set(self._objects.values()):
                each.remove()
            shutil.rmtree(
                self._cloud.place.path('glance', NAME), ignore_errors=True
            )

    def _make_pools(self):
        for ceph in (self._cloud.edge, self._cloud.far):
            if ceph in self._clusters.values():
                self._cloud.start(ceph)
        for names, kind in OBJECT_STORES.items():
            if not self._used.isdisjoint(names):
                self._objects |= dict.fromkeys(names, kind(self._cloud))
        for store, ceph in self._clusters.items():
            ceph.make_pool(_pool(store))
        for ceph in set(self._clusters.values()):
            ceph.make_user(USER, [
                _pool(store) for store, at in self._clusters.items()
                if at is ceph
            ])

    def _upload(self, client, size):
        path = self._cloud.place.path('tmp', 'image.raw')
        kinds = {(way.source, way.zeroes) for way in self._ways}
        try:
            for zeroes in {zeroes for _source, zeroes in kinds}:
                images.make_image(path, size, zeroes)
                for source, kind in kinds:
                    if kind == zeroes:
                        self._images[source, zeroes, size] = (
                            client.create_image(path, store=source)
                        )
        finally:
            path.unlink(missing_ok=True)

    def measure(self, who, number, sizes):
        """Let one contender copy all sizes in all ways."""
        ways = [
            way for way in self._ways if who in GLANCES or way.tool == who
        ]
        if who == cloud_ways.RCLONE and not rclone_tool.is_installed():
            ways = []
        if not ways:
            return
        with self._glance(who if who in GLANCES else PLUGIN) as (
            server, client
        ):
            runner = Runner(
                server, who, client, self._cloud, self._clusters,
                self._objects,
            )
            for way in ways:
                self._copy(runner, way, contenders.WARM_UP)
            for size in sizes:
                for way in ways:
                    self._settle()
                    first = (who, size, way) not in self._checked
                    self._checked.add((who, size, way))
                    found = self._copy(runner, way, size, first)
                    self.runs.append({
                        'who': who, 'round': number, 'size': size,
                        'stores': way.says, **found,
                    })
                    self._report(self.runs[-1])
            self._settle()

    def distance(self):
        """Return what there is to say of the link to the cluster far away."""
        if self._cloud.far not in self._clusters.values():
            return {}
        seconds = self._cloud.far.link.round_trip()
        return {'far': f'{1000 * seconds:.1f} ms away'}

    def _copy(self, runner, way, size, compare=False):
        image_id = self._images[way.source, way.zeroes, size]
        if runner.who == cloud_ways.RBD:
            return runner.copy_with_rbd(image_id, way)
        if runner.who == cloud_ways.RCLONE:
            return runner.copy_with_rclone(image_id, way)
        return runner.copy(image_id, way.targets, compare)

    @contextlib.contextmanager
    def _glance(self, who, keep=True):
        plugin, driver = GLANCES[who]
        cloud = self._cloud
        with services.CloudGlance(cloud, NAME, {
            'local': stores.file(), 'copies': stores.file(),
            'fast': stores.cinder(cloud, 'glance-fast', driver=driver),
            'slow': stores.cinder(cloud, 'glance-slow', driver=driver),
            **{
                store: stores.rbd(ceph, _pool(store), rbd_store_user=USER)
                for store, ceph in self._clusters.items()
            },
            **{
                name: options for each in set(self._objects.values())
                for name, options in each.stores().items()
            },
        }, keep=keep, plugin=plugin) as server:
            yield server, Client(server, cloud.token())

    def _settle(self):
        """Wait until Cinder has deleted the volumes of the last copy."""
        volumes = self._cloud.cinder('glance').volumes
        wait_until(
            lambda: len(volumes.list()) <= self._rest,
            'volumes that are deleted to be gone', timeout=300,
        )


class Runner(contenders.Runner):
    """Copies with one Glance, or with a tool, and removes the copies again.

    :param cloud: where the copies are
    :param clusters: {store: its Ceph cluster}
    :param objects: {store in S3 or Swift: its ``Buckets`` or ``Containers``}
    """

    def __init__(self, server, who, client, cloud, clusters, objects):
        super().__init__(server, who)
        self._client = client
        self._cloud = cloud
        self._clusters = clusters
        self._objects = objects

    def copy(self, image_id, stores, compare=False):
        self._stored = None
        return {**super().copy(image_id, stores, compare),
                'stored': self._stored}

    def copy_with_rclone(self, image_id, way):
        """Copy an image with ``rclone``; return what that took."""
        source = self._object(way.source, image_id)
        target = self._object(way.targets[0], f'{image_id}-copy')
        (holder,) = {
            self._objects[store] for store in (way.source, *way.targets)
            if store in self._objects
        }
        found = rclone_tool.copy(source, target, holder.login())
        if isinstance(target, pathlib.Path):
            target.unlink()
        else:
            holder.discard(target)
        return {**found, 'stored': None}

    def copy_with_rbd(self, image_id, way):
        """Copy an image with ``rbd``; return what that took."""
        source = self._place(way.source, image_id, '@snap')
        target = self._place(way.targets[0], f'{image_id}-copy')
        found = rbd_tool.copy(source, target)
        stored = None
        if isinstance(target, pathlib.Path):
            target.unlink()
        else:
            ceph, name = self._clusters[way.targets[0]], target[-1]
            stored = _stored(ceph, name)
            ceph.run('rbd', 'rm', '--no-progress', name)
        return {**found, 'stored': stored}

    def _object(self, store, name):
        """Return what ``rclone_tool`` calls an image of a store."""
        if store in self._objects:
            return f'{self._objects[store].name(store)}/{name}'
        return pathlib.Path(self._server.store_file(store, name))

    def _place(self, store, name, snapshot=''):
        """Return what ``rbd_tool`` calls an image of a store."""
        if store not in self._clusters:
            return pathlib.Path(self._server.store_file(store, name))
        return rbd_tool.image_in(
            self._clusters[store], _pool(store), name + snapshot
        )

    def wait_ended(self, image_id, timeout=3600):
        """Look at the task in the database, which costs Glance nothing.

        What MariaDB keeps of the time are whole seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._server.tasks(image_id)[-1]['status'] in ENDED:
                return time.time()
            time.sleep(LOOK_INTERVAL)
        raise contenders.BenchFailed(f'{self.who}: the copy has not ended')

    def check_copies(self, image_id, stores, compare):
        image = self._client.image(image_id)
        urls = {
            row['store']: row['url']
            for row in self._server.locations(image_id)
        }
        for store in stores:
            ceph = self._clusters.get(store, self._cloud.ceph)
            if store in self._objects:
                if compare and image['os_hash_value'] != (
                    self._objects[store].hash_of(store, image_id)
                ):
                    raise contenders.BenchFailed(
                        f'{self.who}: wrong data in {store}'
                    )
                continue
            name = _image(store, urls[store])
            if store in self._clusters:
                self._stored = _stored(ceph, name)
            if compare and image['os_hash_value'] != (
                images.file_hash(self._server.store_file(store, image_id))
                if name is None else
                _hash(self._cloud, ceph, name, image['size'])
            ):
                raise contenders.BenchFailed(
                    f'{self.who}: wrong data in {store}'
                )


def _pool(store):
    return f'bench-{store}'


def _image(store, url):
    """Return what Ceph calls the copy of a location; None for a file."""
    if url.startswith('cinder://'):
        return f'{store}/volume-{url.rpartition("/")[2]}'
    if url.startswith('rbd://'):
        return '/'.join(url.split('/')[3:5])
    return None


def _stored(ceph, name):
    """Return how many bytes an image takes in its cluster."""
    found = json.loads(ceph.run('rbd', 'du', '--format', 'json', name))
    return sum(each['used_size'] for each in found['images'])


def _hash(cloud, ceph, name, size):
    """Return the hash of the first bytes of an image in Ceph."""
    path = cloud.place.path('tmp', 'exported.raw')
    try:
        ceph.run('rbd', 'export', '--no-progress', name, path, timeout=600)
        found = hashlib.sha512()
        with path.open('rb') as stream:
            while size and (data := stream.read(min(size, 4 * images.MIB))):
                found.update(data)
                size -= len(data)
        return found.hexdigest()
    finally:
        path.unlink(missing_ok=True)
