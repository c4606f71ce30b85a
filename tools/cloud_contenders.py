# SPDX-License-Identifier: Apache-2.0

"""Who takes part in the benchmark with a real OpenStack, and what is copied.

Both have the same records, the same stores and the same images.
"""

import contextlib
import hashlib
import shutil
import time

from tests.cloud import services
from tests.cloud.services import leftovers
from tests.cloud.services import stores
from tests.functional.helpers import wait_until
from tests.harness import Client
from tests.harness.client import ENDED
from tools import contenders
from tools import images

NAME = 'bench'
STOCK, PLUGIN = 'stock', 'plugin'
# {who: (with the plugin, the driver of the Cinder stores)}
GLANCES = {STOCK: (False, 'cinder'), PLUGIN: (True, 'cinder_multi')}
# {part: {what the table says: (source, targets)}}
PARTS = {
    'cinder': {
        'file -> fast, slow': ('local', ('fast', 'slow')),
        'fast -> slow': ('fast', ('slow',)),
    },
    'rbd': {'images-a -> images-b': ('images-a', ('images-b',))},
}
POOLS = ('images-a', 'images-b')
USER = 'bench'
LOOK_INTERVAL = 0.05


def order(number):
    """Return the contenders in the order of a round; each has its turns."""
    names = (*GLANCES,)
    first = number % len(names)
    return names[first:] + names[:first]


def rank(run):
    """Sort runs as the table shows them."""
    ways = [way for ways in PARTS.values() for way in ways]
    return (
        run['size'], ways.index(run['stores']),
        (*GLANCES,).index(run['who']), run['round'],
    )


class CloudBench:
    """Copies the same images again and again, and measures that.

    :param cloud: ``Cloud``, which runs and is empty
    :param parts: some of ``PARTS``
    :param report: called with each measurement
    """

    def __init__(self, cloud, parts, report):
        self.runs = []
        self._ways = {
            way: PARTS[part][way] for part in parts for way in PARTS[part]
        }
        self._cloud = cloud
        self._report = report
        self._images = {}
        self._checked = set()

    @contextlib.contextmanager
    def uploaded(self, sizes):
        """Have an image of each size in each source, and small ones."""
        found = leftovers.Leftovers(self._cloud)
        left = found.find(pools=POOLS)
        if left:
            raise contenders.BenchFailed(
                'the OpenStack is not empty: ' + ', '.join(left)
            )
        _make_user(self._cloud)
        path = self._cloud.place.path('tmp', 'image.raw')
        try:
            with self._glance(PLUGIN, keep=False) as (_server, client):
                for size in sorted({contenders.WARM_UP, *sizes}):
                    images.make_image(path, size)
                    for source, _targets in self._ways.values():
                        self._images[source, size] = client.create_image(
                            path, store=source
                        )
            self._rest = len(self._cloud.cinder('glance').volumes.list())
            yield
        finally:
            path.unlink(missing_ok=True)
            found.remove(pools=POOLS)
            shutil.rmtree(
                self._cloud.place.path('glance', NAME), ignore_errors=True
            )

    def measure(self, who, number, sizes):
        """Let one contender copy all sizes in all ways."""
        with self._glance(who) as (server, client):
            runner = Runner(server, who, client, self._cloud)
            for source, targets in self._ways.values():
                runner.copy(self._images[source, contenders.WARM_UP], targets)
            for size in sizes:
                for way, (source, targets) in self._ways.items():
                    self._settle()
                    first = (who, size, way) not in self._checked
                    self._checked.add((who, size, way))
                    found = runner.copy(
                        self._images[source, size], targets, first
                    )
                    self.runs.append({
                        'who': who, 'round': number, 'size': size,
                        'stores': way, **found,
                    })
                    self._report(self.runs[-1])
            self._settle()

    @contextlib.contextmanager
    def _glance(self, who, keep=True):
        plugin, driver = GLANCES[who]
        cloud = self._cloud
        with services.CloudGlance(cloud, NAME, {
            'local': stores.file(),
            'fast': stores.cinder(cloud, 'glance-fast', driver=driver),
            'slow': stores.cinder(cloud, 'glance-slow', driver=driver),
            **{
                pool: stores.rbd(cloud, pool, rbd_store_user=USER)
                for pool in POOLS
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
    """Copies with one Glance, and removes the copies again.

    :param cloud: where the copies are
    """

    def __init__(self, server, who, client, cloud):
        super().__init__(server, who)
        self._client = client
        self._cloud = cloud

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
            place = _place(store, urls[store])
            if compare and image['os_hash_value'] != _hash(
                self._cloud, place, image['size']
            ):
                raise contenders.BenchFailed(
                    f'{self.who}: wrong data in {store}'
                )


def _make_user(cloud):
    """Make a user of both pools: only such a one can copy between them."""
    rights = ', '.join(f'profile rbd pool={pool}' for pool in POOLS)
    key = cloud.ceph.run(
        'ceph', 'auth', 'get-or-create', f'client.{USER}',
        'mon', 'profile rbd', 'mgr', 'profile rbd', 'osd', rights,
    )
    cloud.place.write_private(cloud.ceph.user_keyring(USER), key)


def _place(store, url):
    """Return what Ceph calls the copy that a location names."""
    if url.startswith('cinder://'):
        return f'{store}/volume-{url.rpartition("/")[2]}'
    return url.removeprefix('rbd://').partition('/')[2].rpartition('/')[0]


def _hash(cloud, place, size):
    """Return the hash of the first bytes of an image in Ceph."""
    path = cloud.place.path('tmp', 'exported.raw')
    try:
        cloud.ceph.run(
            'rbd', 'export', '--no-progress', place, path, timeout=600
        )
        found = hashlib.sha512()
        with path.open('rb') as stream:
            while size and (data := stream.read(min(size, 4 * images.MIB))):
                found.update(data)
                size -= len(data)
        return found.hexdigest()
    finally:
        path.unlink(missing_ok=True)
