# SPDX-License-Identifier: Apache-2.0

"""The benchmark's fourth part: copies by workers.

How the time of many copies becomes shorter with each worker, when the stores
are what limits each of them; and what the records of a copy cost, without its
bytes, against stock Glance.
"""

import contextlib
import os
import re
import time

import sqlalchemy as sa

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import postgres
from tests.harness import redis
from tests.harness import worker as worker_
from tools import contenders
from tools import images
from tools import measure

COPIES = int(os.environ.get('WORKER_COPIES') or 200)
TINY_COPIES = 100
SIZE, TINY = 16 * images.MIB, 1024
STORES = ('s1', 's2')
FLEETS = (1, 2, 4, 8)
# Each worker makes one copy at a time.
LIMITED = {'bandwidth_limit': 50 * images.MIB, 'copiers': ''}
STOCK, EMBEDDED, BY_WORKER = 'stock', 'plugin', 'plugin, by a worker'
_WRITE = re.compile(r'LOG: +statement: (?:INSERT|UPDATE|DELETE)', re.I)


class WorkerBench:
    """Measures copies of its own images.

    :param folder: where the Glances live
    :param report: called with each line that can be read meanwhile
    """

    def __init__(self, folder, report):
        self._folder = folder
        self._report = report

    def scaling(self):
        """Return one dict for each number of workers."""
        found = []
        with self._board() as board, postgres.Postgres() as databases:
            server = GlanceServer(
                self._folder / 'scaling', workers=2,
                database_url=databases.url('scaling'),
                settings=jobboard.settings(board, **LIMITED),
            )
            with server:
                ids = self._upload(server, COPIES, SIZE)
                for workers in FLEETS:
                    seconds = self._by(server, board, ids, workers)
                    found.append({'workers': workers, 'seconds': seconds})
                    self._report(f'  {workers} workers {seconds:8.1f} s')
        return found

    def tiny(self):
        """Return what one tiny copy costs each of the contenders."""
        found = []
        for who in (STOCK, EMBEDDED, BY_WORKER):
            with self._board() as board, postgres.Postgres() as databases:
                found.append(self._tiny(who, board, databases))
            self._report(
                f'  {who:20} {found[-1]["writes"]:6.1f} writes '
                f'{found[-1]["cpu_ms"]:8.1f} ms'
            )
        return found

    @contextlib.contextmanager
    def _board(self):
        place = self._folder / 'board'
        place.mkdir(exist_ok=True)
        with redis.Redis(place) as board:
            yield board

    @staticmethod
    def _upload(server, count, size):
        client = Client(server)
        return [client.create_image(helpers.data(size)) for _ in range(count)]

    def _by(self, server, board, ids, count):
        """Return how many seconds so many workers take; undo it again."""
        client = Client(server)
        with contextlib.ExitStack() as stack:
            for number in range(count):
                stack.enter_context(worker_.Worker(
                    server, f'host-{number}', concurrency=1
                ))
            _wait(lambda: len(_living(board)) == count)
            begun = time.monotonic()
            for image_id in ids:
                _ask(client, image_id, STORES)
            _wait(lambda: _all_ended(server))
            seconds = time.monotonic() - begun
        _demand_success(server)
        for image_id in ids:
            for store in STORES:
                client.delete(image_id, store)
        return seconds

    def _tiny(self, who, board, databases):
        name = who.replace(' ', '-').replace(',', '')
        settings = jobboard.settings(board) if who == BY_WORKER else {}
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(GlanceServer(
                self._folder / name, plugin=who != STOCK, settings=settings,
                database_url=databases.url(name),
            ))
            pids = list(server.worker_pids)
            if who == BY_WORKER:
                worker = stack.enter_context(worker_.Worker(server, 'host'))
                _wait(lambda: _living(board))
                pids += [each.pid for each in worker.processes()]
            client = Client(server)
            first, *ids = self._upload(server, TINY_COPIES + 1, TINY)
            _copy(server, client, first)
            return {'who': who, **_cost(server, databases, pids, [
                lambda each=each: _copy(server, client, each) for each in ids
            ])}


def _cost(server, databases, pids, copies):
    """Return the writes, the CPU and the time of one of some copies."""
    log = databases.folder / 'postgres.log'
    meter = measure.Meter(pids)
    _log_writes(server)
    before = log.read_text().count('\n')
    meter.start()
    begun = time.monotonic()
    for copy in copies:
        copy()
    seconds = time.monotonic() - begun
    used = meter.stop()
    lines = log.read_text().splitlines()[before:]
    return {
        'writes': sum(bool(_WRITE.search(line)) for line in lines)
        / len(copies),
        'cpu_ms': 1000 * used['cpu'] / len(copies),
        'wall_ms': 1000 * seconds / len(copies),
    }


def _log_writes(server):
    """Have the database log each statement that writes."""
    engine = sa.create_engine(
        server.database_url, isolation_level='AUTOCOMMIT'
    )
    with engine.connect() as connection:
        connection.execute(sa.text("ALTER SYSTEM SET log_statement = 'mod'"))
        connection.execute(sa.text('SELECT pg_reload_conf()'))
    engine.dispose()


def _copy(server, client, image_id):
    _ask(client, image_id, STORES[:1])
    _wait(lambda: _all_ended(server))
    _demand_success(server)


def _ask(client, image_id, stores):
    answer = client.copy(image_id, list(stores))
    if answer.status_code != 202:
        raise contenders.BenchFailed(answer.text)


def _all_ended(server):
    (found,) = server.execute(
        "SELECT count(*) AS live FROM tasks WHERE status IN "
        "('pending', 'processing')"
    )
    return not found['live']


def _demand_success(server):
    (found,) = server.execute(
        "SELECT count(*) AS failed FROM tasks WHERE status <> 'success'"
    )
    if found['failed']:
        raise contenders.BenchFailed(f'{found["failed"]} copies failed')


def _living(board):
    return board.board(namespace=jobboard.NAMESPACE).workers()


def _wait(condition, timeout=3600):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise contenders.BenchFailed('it does not end')
        time.sleep(0.02)


def tables(scaling, tiny):
    """Return both results as tables in Markdown."""
    alone = scaling[0]['seconds']
    lines = [
        f'{COPIES} copies of {images.show_size(SIZE)} to {len(STORES)} '
        'stores, 50 MiB/s for each worker:', '',
        '| Workers | Seconds | Times as fast |', '| --- | --- | --- |',
    ]
    lines += [
        f'| {row["workers"]} | {row["seconds"]:.1f} '
        f'| {alone / row["seconds"]:.2f} |' for row in scaling
    ]
    lines += [
        '', f'One copy of {TINY} bytes to one store, of {TINY_COPIES}:', '',
        '| Who | Writes to the database | CPU ms | Wall ms |',
        '| --- | --- | --- | --- |',
    ]
    lines += [
        f'| {row["who"]} | {row["writes"]:.1f} | {row["cpu_ms"]:.1f} '
        f'| {row["wall_ms"]:.0f} |' for row in tiny
    ]
    return '\n'.join(lines)
