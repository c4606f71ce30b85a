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

"""``make soak``: kill real Glance processes at random moments of copies.

Environment: N, how many copies (default 100); SEED, for the dice.

Each copy has a random size and number of stores and goes inside the kernel or
through the driver. At a random moment one worker is killed, or all of Glance.
Then everything has to be in order within 30 seconds: the task ended, the image
unlocked, every recorded copy right, nothing left of any other, nothing staged.
The table at the end counts what happened; the status is 1 if anything was not
in order.
"""

import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import time

import requests

from tests.functional import helpers
from tests.harness import Client
from tests.harness import GlanceServer

FOLDER = pathlib.Path('.soak')
STORES = ('s1', 's2', 's3')
SECONDS = 30
ROWS = (
    'killed', 'finished', 'taken back', 'never begun', 'ended before',
    'orphans', 'stuck', 'lost or corrupt',
)


def main():
    """Run it; return the exit status."""
    count = int(os.environ.get('N') or 100)
    seed = int(os.environ.get('SEED') or time.time())
    dice = random.Random(seed)  # noqa: S311
    shutil.rmtree(FOLDER, ignore_errors=True)
    table = collections.Counter()
    print(f'{count} copies, SEED={seed}', flush=True)
    try:
        with contextlib.ExitStack() as stack:
            servers = [
                stack.enter_context(_server('copier', {})),
                stack.enter_context(_server('stream', {'copiers': ''})),
            ]
            for number in range(count):
                told = _one(dice, dice.choice(servers), table)
                print(f'  {number + 1:4}  {told}', flush=True)
    except KeyboardInterrupt:
        print('Interrupted; everything is stopped.', file=sys.stderr)
    for row in ROWS:
        print(f'{row:16} {table[row]:6}')
    return int(any(table[row] for row in ROWS[-3:]))


def _server(name, options):
    return GlanceServer(
        FOLDER / name,
        workers=2,
        graceful_timeout=5,
        settings={'copy_image': {'recovery_interval': 0.5, **options}},
    )


def _one(dice, server, table):
    """Make one copy and kill something; return a line about it."""
    client = Client(server)
    size = dice.choice((1, 1000, 2 ** 20, 2 ** 24 + 1, 2 ** 26))
    stores = dice.sample(STORES, dice.randint(1, 3))
    image_id = client.create_image(helpers.data(size))
    moment = dice.random() * (0.2 + size / 2 ** 26)
    whole = dice.random() < 0.2
    with contextlib.suppress(requests.ConnectionError):
        client.copy(image_id, stores)
    time.sleep(moment)
    before = _ended(server, image_id)
    _kill(dice, server, whole)
    table['killed'] += 1
    try:
        helpers.wait_until(
            lambda: _answers(client) and _in_order(server, image_id),
            'order', timeout=SECONDS,
        )
    except AssertionError:
        table['stuck'] += 1
        return f'STUCK: {image_id} {server.tasks(image_id)}'
    result = _check(server, client, image_id, stores)
    table[result] += 1
    table['ended before'] += before
    what = 'all of Glance' if whole else 'one worker'
    return f'{size:9} bytes to {len(stores)}, {what}: {result}'


def _kill(dice, server, whole):
    if whole:
        server.kill()
        server.start()
        return
    pids = server.worker_pids
    if pids:
        os.kill(dice.choice(pids), signal.SIGKILL)


def _answers(client):
    with contextlib.suppress(requests.ConnectionError):
        return client.request('GET', '/info/stores').status_code == 200


def _ended(server, image_id):
    tasks = server.tasks(image_id)
    return bool(tasks) and tasks[-1]['status'] in ('success', 'failure')


def _in_order(server, image_id):
    entry = server.staging / 'copy-image' / 'journal' / image_id
    return not entry.exists() and all(
        task['status'] in ('success', 'failure')
        for task in server.tasks(image_id)
    )


def _check(server, client, image_id, stores):
    """Look at everything; return the row of the table that it belongs to."""
    image = client.image(image_id)
    recorded = set(helpers.rows(server, image_id))
    if helpers.LOCK in image or image.get(helpers.IMPORTING, ''):
        return 'stuck'
    for store in ('src', *STORES):
        found = helpers.left_in(server, store, image_id)
        if store not in recorded and found:
            return 'orphans'
        if store in recorded and (
            found != [server.store_file(store, image_id)]
            or helpers.sha512(found[0]) != image['os_hash_value']
        ):
            return 'lost or corrupt'
    if helpers.staged_files(server) or 'src' not in recorded:
        return 'orphans' if 'src' in recorded else 'lost or corrupt'
    tasks = server.tasks(image_id)
    if not tasks:
        return 'never begun'
    done = recorded >= set(stores)
    return 'finished' if done else 'taken back'


if __name__ == '__main__':
    sys.exit(main())
