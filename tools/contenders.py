# SPDX-License-Identifier: Apache-2.0

"""Who takes part in the benchmark, and one measured copy by each."""

import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time

from tests.harness import Client
from tests.harness import config
from tests.harness import GlanceServer
from tests.harness.client import ENDED
from tools import images
from tools import measure
from tools import watch

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOOR = 'floor'
WINDOW = 'plugin, 64 MiB window'
TARGETS = ('s1', 's2', 's3')
CHUNK = {'filesystem_store_chunk_size': 4194304}
TUNED = dict.fromkeys([*config.STORES, *config.RESERVED], CHUNK)
# {name: (with the plugin, settings)}
GLANCES = {
    'stock': (False, {}),
    'stock tuned': (False, TUNED),
    'plugin streaming': (True, {'copy_image': {'copiers': ''}}),
    'plugin': (True, {}),
    WINDOW: (
        True,
        {'copy_image': {'copiers': '', 'staging_window': 64 * images.MIB}},
    ),
}
EVERYBODY = (FLOOR, *(name for name in GLANCES if name != WINDOW))
WARM_UP = images.MIB
NEWEST_TASK = (
    'SELECT status, updated_at FROM tasks WHERE image_id = ? '
    'ORDER BY created_at DESC LIMIT 1'
)


class BenchFailed(Exception):
    """Something that was measured went wrong; the text says what."""


def order(number):
    """Return the contenders in the order of a round; each has its turns."""
    first = number % len(EVERYBODY)
    return EVERYBODY[first:] + EVERYBODY[:first]


def rank(run):
    """Sort runs as the table shows them."""
    names = (*EVERYBODY, WINDOW)
    return run['size'], run['stores'], names.index(run['who']), run['round']


class Bench:
    """Copies the same images again and again, and measures that.

    All contenders share one database and the same stores; each of them
    runs only while it is measured.

    :param folder: the folder of their Glance
    :param report: called with each measurement
    """

    def __init__(self, folder, report):
        self.runs = []
        self._folder = folder
        self._report = report
        self._images = {}
        self._checked = set()

    def upload(self, sizes):
        """Make an image of each size, and a small one to warm up with."""
        with GlanceServer(self._folder, plugin=False) as server:
            client = Client(server)
            path = self._folder / 'image.raw'
            for size in sorted({WARM_UP, *sizes}):
                images.make_image(path, size)
                self._images[size] = client.create_image(path)
            path.unlink()

    def warm_up(self, size, count):
        """Write once what is written later, without measuring it.

        In a virtual machine, memory that was never used before is slow.
        """
        self._floor(size, count)

    def measure(self, who, number, sizes, counts):
        """Let one contender copy all sizes to all numbers of stores."""
        kinds = [(size, count) for size in sizes for count in counts]
        if who == FLOOR:
            for size, count in kinds:
                self._note(who, number, size, count, self._floor(size, count))
            return
        plugin, settings = GLANCES[who]
        with GlanceServer(
            self._folder, plugin=plugin, settings=settings
        ) as server:
            runner = Runner(server, who)
            runner.copy(self._images[WARM_UP], TARGETS)
            for size, count in kinds:
                found = self._glance(runner, size, TARGETS[:count])
                self._note(who, number, size, count, found)

    def _note(self, who, number, size, count, found):
        run = {'who': who, 'round': number, 'size': size, 'stores': count}
        self.runs.append({**run, **found})
        self._report(self.runs[-1])

    def _floor(self, size, count):
        source = self._source(size)
        targets = [self._folder / f'floor-{i}' for i in range(count)]
        self._settle(source)
        done = subprocess.run(
            [sys.executable, '-m', 'tools.floor', source, *targets],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        for target in targets:
            target.unlink()
        return json.loads(done.stdout)

    def _glance(self, runner, size, stores):
        self._settle(self._source(size))
        first = (runner.who, size) not in self._checked
        self._checked.add((runner.who, size))
        return runner.copy(self._images[size], stores, compare=first)

    def _source(self, size):
        return self._folder / 'stores' / 'src' / self._images[size]

    @staticmethod
    def _settle(source):
        """Let the disk come to rest, with the source in the page cache."""
        os.sync()
        with open(source, 'rb', buffering=0) as stream:
            while stream.read(4 * images.MIB):
                pass


class Runner:
    """Copies with one Glance, and removes the copies again.

    :param file_of: gives the path of the file of (store, image id)
    """

    def __init__(self, server, who, file_of=None):
        self.who = who
        self._server = server
        self._client = Client(server)
        self._file_of = file_of or server.store_file

    def copy(self, image_id, stores, compare=False):
        """Copy an image; return what that took.

        :param compare: hash what the stores have afterwards
        """
        meter = measure.Meter(self._server.worker_pids, self._server.staging)
        known = {task['id'] for task in self._server.tasks(image_id)}
        meter.start()
        start = time.time()
        answer = self._client.copy(image_id, list(stores))
        if answer.status_code != 202:
            raise BenchFailed(f'{self.who}: {answer.text}')
        end = self.wait_ended(image_id)
        self._client.wait_unlocked(image_id)
        found = meter.stop()
        self._demand_success(image_id, known)
        self.check_copies(image_id, stores, compare)
        for store in stores:
            self._client.delete(image_id, store)
        return {'wall': end - start, **found}

    def wait_ended(self, image_id, timeout=3600):
        """Look at the task in the database, which costs Glance nothing.

        :returns: when the task ended, in seconds since the epoch
        """
        path = f'file:{self._server.folder}/glance.db?mode=ro'
        deadline = time.monotonic() + timeout
        with contextlib.closing(
            sqlite3.connect(path, uri=True, timeout=60)
        ) as database:
            while time.monotonic() < deadline:
                status, updated = database.execute(
                    NEWEST_TASK, (image_id,)
                ).fetchone()
                if status in ENDED:
                    return watch.timestamp(updated)
                time.sleep(0.02)
        raise BenchFailed(f'{self.who}: the copy has not ended')

    def _demand_success(self, image_id, known):
        for task in self._server.tasks(image_id):
            if task['id'] not in known and task['status'] != 'success':
                raise BenchFailed(f'{self.who}: {task["message"]}')

    def check_copies(self, image_id, stores, compare):
        """Raise :class:`BenchFailed` if a store has not what it should.

        :param compare: hash it, instead of looking at its size only
        """
        image = self._client.image(image_id)
        for store in stores:
            path = self._file_of(store, image_id)
            same = path.stat().st_size == image['size']
            if same and compare:
                same = images.file_hash(path) == image['os_hash_value']
            if not same:
                raise BenchFailed(f'{self.who}: wrong data in {store}')
