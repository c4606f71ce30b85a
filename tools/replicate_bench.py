# SPDX-License-Identifier: Apache-2.0

"""The benchmark's third part: many images from one cloud to another.

The loop that people write around the stock client, against livecopy; and
between clouds that share an iRODS zone, livecopy through this machine against
livecopy inside the zone. What is measured are the Glances and the clients.
"""

import contextlib
import os
import pathlib
import resource
import subprocess
import sys
import time

from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import postgres
from tests.harness import process
from tools import contenders
from tools import images
from tools import measure
from tools import zone as zone_

LOOP, LIVECOPY = 'stock client, one by one', 'livecopy --workers 4'
STREAMED, IN_THE_ZONE = 'livecopy, get and put', 'livecopy --via-irods'
ORDER = (LOOP, LIVECOPY, STREAMED, IN_THE_ZONE)
TOKEN = 'admin:admin:admin,member,reader,service'  # noqa: S105 - of the test
MANY = int(os.environ.get('REPLICATE_IMAGES') or 200)
SIZE = 8 * images.MIB
FEW, LARGE = 8, 64 * images.MIB
# What the shell loop does, as people write it.
SCRIPT = """
set -o pipefail
for id in {ids}; do
  {glance} --os-image-url {source} image-download "$id" |
    {glance} --os-image-url {target} image-create --id "$id" --name copy \
      --disk-format raw --container-format bare > /dev/null || exit 1
done
"""


@contextlib.contextmanager
def databases():
    """Yield a PostgreSQL for both Glances, or None if there is none here.

    With SQLite, Glance itself fails now and then if it is asked for several
    things at a time.
    """
    try:
        with postgres.Postgres() as server:
            yield server
    except postgres.Unavailable as error:
        print(f'  SQLite is used: {error}')
        yield None


def rank(run):
    """Sort runs as the table shows them."""
    return ORDER.index(run['who']), run['round']


class ReplicateBench:
    """Copies the same images to a new target each time.

    :param folder: where the Glances live
    :param zone: Zone that both share
    :param databases: Postgres, or None for SQLite
    :param report: called with each measurement
    """

    def __init__(self, folder, zone, databases, report):
        self.runs = []
        self._databases = databases
        self._folder = folder
        self._zone = zone
        self._report = report

    def run(self, rounds):
        """Measure everybody in each round."""
        with self._source() as source:
            small = self._upload(source, MANY, SIZE, 'src')
            large = self._upload(source, FEW, LARGE, zone_.ARCHIVE)
            for number in range(rounds):
                for who in self._turns(number):
                    ids = small if who in (LOOP, LIVECOPY) else large
                    self._measure(who, number, source, ids)

    @staticmethod
    def _turns(number):
        first = number % len(ORDER)
        return ORDER[first:] + ORDER[:first]

    def _source(self):
        settings = {zone_.ARCHIVE: self._zone.settings[zone_.ARCHIVE]}
        return self._glance('from', settings, zone_.ARCHIVE)

    def _target(self, who, number):
        settings = {
            zone_.VAULT: self._zone.settings[zone_.VAULT],
            'DEFAULT': {'do_secure_hash': 'false'},
        }
        name = f'to{number}{ORDER.index(who)}'
        return self._glance(name, settings, zone_.VAULT)

    def _glance(self, name, settings, store):
        url = self._databases.url(name) if self._databases else None
        return GlanceServer(
            self._folder / name, settings=settings, backends={store: 'irods'},
            database_url=url,
        )

    def _upload(self, server, count, size, store):
        client = Client(server)
        path = self._folder / 'image.raw'
        ids = []
        for _number in range(count):
            images.make_image(path, size)
            ids.append(client.create_image(path, store, tags=[store]))
        path.unlink()
        return ids

    def _measure(self, who, number, source, ids):
        size = SIZE if who in (LOOP, LIVECOPY) else LARGE
        with self._target(who, number) as target:
            meter = measure.Meter(source.worker_pids + target.worker_pids)
            meter.start()
            cpu, began = _children(), time.monotonic()
            _run(_command(who, source, target, ids))
            wall = time.monotonic() - began
            used = meter.stop()
            used['cpu'] += _children() - cpu
            _check(source, target, ids)
            client = Client(target)
            for image_id in ids:
                client.delete(image_id)
        self.runs.append({
            'who': who, 'round': number, 'size': size,
            'stores': f'{len(ids)} images', 'wall': wall, **used,
        })
        self._report(self.runs[-1])


def _command(who, source, target, ids):
    bin_ = pathlib.Path(sys.executable).parent
    if who == LOOP:
        script = SCRIPT.format(
            glance=bin_ / 'glance', source=source.url, target=target.url,
            ids=' '.join(ids),
        )
        return ['bash', '-c', script]
    kind = 'src' if who == LIVECOPY else zone_.ARCHIVE
    command = [
        bin_ / 'glance-replicate', 'livecopy', source.url, target.url,
        '--workers=4', f'--tag={kind}',
    ]
    if who == STREAMED:
        command.append(f'--store={zone_.VAULT}')
    if who == IN_THE_ZONE:
        command += [
            '--via-irods', f'--irods-config={target.conf}',
            f'--irods-store={zone_.VAULT}',
        ]
    return command


def _run(command):
    variables = {
        'OS_AUTH_TOKEN': TOKEN, 'GLANCE_REPLICATE_FROM_TOKEN': TOKEN,
        'GLANCE_REPLICATE_TO_TOKEN': TOKEN, 'PYTHONPATH': str(process.ROOT),
    }
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables},
    )
    if done.returncode:
        raise contenders.BenchFailed(
            f'a copy between clouds failed:\n{done.stdout[-2000:]}'
        )


def _check(source, target, ids):
    """Raise unless the target has all images, with the same hashes."""
    ours, theirs = Client(source), Client(target)
    for image_id in ids:
        wanted, found = ours.image(image_id), theirs.image(image_id)
        if wanted['os_hash_value'] != found['os_hash_value']:
            raise contenders.BenchFailed(f'{image_id} was not copied right')


def _children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
