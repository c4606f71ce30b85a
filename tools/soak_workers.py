# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""``make soak-workers``: kill and pause real workers at random moments.

Environment: N, how many copies (default 1000); WORKERS, how many "hosts"
(default 4); EVERY, seconds between two kills (default 1); BOARD, its kind
(default redis); SEED, for the dice.

All copies are posted at once to a real Glance with a real board. Until the
last has ended, a random worker is killed, with all its processes, and now and
then one is paused until its claims have expired. In the end each copy must
have succeeded, with exactly its locations, or have been given up because it
was interrupted too often, with none; nothing may be going on, and an audit
that reads and hashes everything must find nothing.
"""

import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import postgres
from tests.harness import worker as worker_
from tests.parts import boards

FOLDER = pathlib.Path('.soak-workers')
STORES = ('s1', 's2', 's3')
SIZES = (1, 1000, 2 ** 16, 2 ** 20)
SETTINGS = {'copiers': ''}
PAUSES = 0.1
GIVEN_UP = 'interrupted again and again'
LIVE = (
    "SELECT count(*) AS live FROM tasks WHERE status NOT IN "
    "('success', 'failure') AND type = 'api_image_import'"
)


def main():
    """Run it; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    count = int(os.environ.get('N') or 1000)
    hosts = int(os.environ.get('WORKERS') or 4)
    every = float(os.environ.get('EVERY') or 1)
    kind = os.environ.get('BOARD') or 'redis'
    seed = int(os.environ.get('SEED') or time.time())
    dice = random.Random(seed)  # noqa: S311
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / 'board').mkdir(parents=True)
    print(
        f'{count} copies, {hosts} workers, {kind}, a kill every {every:g} s, '
        f'SEED={seed}', flush=True,
    )
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(
            boards.server_of(kind, (FOLDER / 'board').resolve())
        )
        databases = stack.enter_context(postgres.Postgres())
        server = stack.enter_context(GlanceServer(
            FOLDER / 'glance', workers=2, graceful_timeout=5,
            database_url=databases.url('workers'),
            settings=jobboard.settings(board, **SETTINGS),
        ))
        wanted = _post(server, dice, count)
        workers = [
            stack.enter_context(worker_.Worker(server, f'host-{number}'))
            for number in range(hosts)
        ]
        begun = time.monotonic()
        done = _disturb(server, workers, every, dice)
        print(
            f'{count} copies ended after {time.monotonic() - begun:.0f} s, '
            f'{done["kills"]} kills and {done["pauses"]} pauses', flush=True,
        )
        return _judge(server, board, wanted)


def _post(server, dice, count):
    """Ask for the copies; return ``{image: its stores}``."""
    client = Client(server)
    wanted = {}
    for _ in range(count):
        image_id = client.create_image(helpers.data(dice.choice(SIZES)))
        wanted[image_id] = dice.sample(STORES, dice.randint(1, len(STORES)))
        answer = client.copy(image_id, wanted[image_id])
        if answer.status_code != 202:
            raise SystemExit(f'{answer.status_code} {answer.text}')
    return wanted


def _disturb(server, workers, every, dice):
    """Kill and pause workers until all copies have ended; count it."""
    done = collections.Counter()
    paused = []
    ended = threading.Event()
    while server.execute(LIVE)[0]['live']:
        ended.wait(every)
        paused = [each for each in paused if not _let_go(*each)]
        awake = [each for each in workers if each not in dict(paused)]
        if not awake:
            continue
        worker = dice.choice(awake)
        if dice.random() < PAUSES:
            worker.pause()
            paused.append((worker, time.monotonic() + jobboard.EXPIRY + 1))
            done['pauses'] += 1
        else:
            worker.kill()
            worker.start()
            done['kills'] += 1
    for worker, _until in paused:
        worker.go_on()
    return done


def _let_go(worker, until):
    """Let a paused worker go on, if its claims have expired; tell so."""
    if time.monotonic() < until:
        return False
    worker.go_on()
    return True


def _judge(server, board, wanted):
    """Say what is wrong; return the exit status."""
    helpers.wait_until(
        lambda: jobboard.jobs(board) == 0, 'an empty board', timeout=120
    )
    wrong = []
    given_up = 0
    for image_id, stores in wanted.items():
        (task,) = server.tasks(image_id)
        failed = task['status'] != 'success'
        given_up += failed
        if failed and GIVEN_UP not in helpers.message(server, task['id']):
            wrong.append(f'{image_id}: {task}')
        recorded = sorted(row['store'] for row in server.locations(image_id))
        if recorded != sorted(['src', *(() if failed else stores)]):
            wrong.append(f'{image_id}: {recorded}, not {stores}')
    wrong += [
        f'{each.kind} {each.store} {each.image_id}: {each.detail}'
        for each in server.invariants.check()
    ]
    print(f'{given_up} copies were given up', flush=True)
    print('\n'.join(wrong) or 'everything is in order', flush=True)
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
