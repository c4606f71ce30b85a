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

Environment: N, how many copies (default 100); WORKERS, how many "hosts"
(default 4); SEED, for the dice.

All copies are posted at once to a real Glance with a real redis. Until the
last has ended, a random worker is killed, with all its processes, or paused
until its claims have expired and then let go on. In the end each copy must
have succeeded, with exactly its locations, nothing may be going on, and an
audit that reads and hashes everything must find nothing.
"""

import contextlib
import os
import pathlib
import random
import shutil
import sys
import time

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import postgres
from tests.harness import redis
from tests.harness import worker as worker_

FOLDER = pathlib.Path('.soak-workers')
STORES = ('s1', 's2', 's3')
SIZES = (1, 1000, 2 ** 20, 2 ** 22 + 1)
SETTINGS = {'bandwidth_limit': 2 ** 21, 'copiers': ''}
# A worker needs some seconds to load Glance before it can be disturbed.
PAUSE_BETWEEN = (3, 8)


def main():
    """Run it; return the exit status."""
    count = int(os.environ.get('N') or 100)
    hosts = int(os.environ.get('WORKERS') or 4)
    seed = int(os.environ.get('SEED') or time.time())
    dice = random.Random(seed)  # noqa: S311
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / 'redis').mkdir(parents=True)
    print(f'{count} copies, {hosts} workers, SEED={seed}', flush=True)
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(redis.Redis((FOLDER / 'redis').resolve()))
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
        kills, pauses = _disturb(server, workers, wanted, dice)
        print(
            f'{count} copies ended after {time.monotonic() - begun:.0f} s, '
            f'{kills} kills and {pauses} pauses', flush=True,
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


def _disturb(server, workers, wanted, dice):
    """Kill and pause workers until all copies have ended; count it."""
    kills = pauses = 0
    while not _all_ended(server, wanted):
        time.sleep(dice.uniform(*PAUSE_BETWEEN))
        worker = dice.choice(workers)
        if dice.random() < 0.5:
            worker.kill()
            worker.start()
            kills += 1
        else:
            worker.pause()
            jobboard.wait_expired()
            worker.go_on()
            pauses += 1
    return kills, pauses


def _all_ended(server, wanted):
    found = server.execute(
        "SELECT count(*) AS live FROM tasks WHERE status NOT IN "
        "('success', 'failure') AND type = 'api_image_import'"
    )
    return found[0]['live'] == 0


def _judge(server, board, wanted):
    """Say what is wrong; return the exit status."""
    helpers.wait_until(
        lambda: jobboard.jobs(board) == 0, 'an empty board', timeout=120
    )
    wrong = []
    for image_id, stores in wanted.items():
        tasks = server.tasks(image_id)
        if [task['status'] for task in tasks] != ['success']:
            wrong.append(f'{image_id}: {tasks}')
        recorded = sorted(row['store'] for row in server.locations(image_id))
        if recorded != sorted(['src', *stores]):
            wrong.append(f'{image_id}: {recorded}, not {stores}')
    wrong += [
        f'{each.kind} {each.store} {each.image_id}: {each.detail}'
        for each in server.invariants.check()
    ]
    print('\n'.join(wrong) or 'everything is in order', flush=True)
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
