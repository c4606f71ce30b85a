# SPDX-License-Identifier: Apache-2.0

"""The benchmark's second part: from one iRODS store to another.

Stock Glance gets the image from the zone and puts it back; the plugin does
so too if it must, and lets the zone copy if it may.
"""

from tests.harness import Client
from tests.harness import GlanceServer
from tools import contenders
from tools import images
from tools import zone as zone_

IN_THE_ZONE = 'plugin, copied in the zone'
# {name: (with the plugin, settings)}
GLANCES = {
    'stock, get and put': (False, {}),
    'plugin, get and put': (True, {'copy_image': {'copiers': ''}}),
    IN_THE_ZONE: (True, {}),
}


def order(number):
    """Return the contenders in the order of a round; each has its turns."""
    names = (*GLANCES,)
    first = number % len(names)
    return names[first:] + names[:first]


def rank(run):
    """Sort runs as the table shows them."""
    return run['size'], (*GLANCES,).index(run['who']), run['round']


class ZoneBench:
    """Copies the same images inside one zone, and measures that.

    :param folder: the folder of their Glance
    :param zone: Zone
    :param report: called with each measurement
    """

    def __init__(self, folder, zone, report):
        self.runs = []
        self._folder = folder
        self._zone = zone
        self._report = report
        self._images = {}
        self._checked = set()

    def upload(self, sizes):
        """Put an image of each size into the zone, and a small one."""
        with self._glance(False, {}) as server:
            client = Client(server)
            path = self._folder / 'image.raw'
            for size in sorted({contenders.WARM_UP, *sizes}):
                images.make_image(path, size)
                self._images[size] = client.create_image(
                    path, store=zone_.ARCHIVE
                )
            path.unlink()

    def measure(self, who, number, sizes):
        """Let one contender copy all sizes."""
        with self._glance(*GLANCES[who]) as server:
            runner = contenders.Runner(server, who, self._zone.file_in)
            stores = [zone_.VAULT]
            runner.copy(self._images[contenders.WARM_UP], stores)
            for size in sizes:
                first = (who, size) not in self._checked
                self._checked.add((who, size))
                found = runner.copy(self._images[size], stores, first)
                self.runs.append({
                    'who': who, 'round': number, 'size': size, 'stores': 1,
                    **found,
                })
                self._report(self.runs[-1])

    def _glance(self, plugin, settings):
        return GlanceServer(
            self._folder, plugin=plugin, backends=self._zone.backends,
            settings={**self._zone.settings, **settings},
        )
