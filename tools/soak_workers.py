# SPDX-License-Identifier: Apache-2.0

"""``make soak-workers``: kill and pause real workers at random moments.

Environment: N, how many copies (default 1000); WORKERS, how many "hosts"
(default 4); EVERY, seconds between two kills (default 1); BOARD, its kind
(default redis); SEED, for the dice.

All copies are posted at once to a real Glance with a real board. Until the
last has ended, a process of a random worker is killed, now and then all of
them, as a power cut does, and now and then a worker is paused until its claims
have expired. What must then be true stands in ``tests/functional/storm.py``.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import time

from tests.functional import jobboard
from tests.functional import storm
from tests.harness import GlanceServer
from tests.harness import postgres
from tests.harness import worker as worker_
from tests.parts import boards

FOLDER = pathlib.Path('.soak-workers')
SETTINGS = {'copiers': ''}


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
        wanted = storm.post(server, dice, count)
        workers = [
            stack.enter_context(worker_.Worker(server, f'host-{number}'))
            for number in range(hosts)
        ]
        begun = time.monotonic()
        done = storm.disturb(server, board, workers, every, dice)
        print(
            f'{count} copies ended after {time.monotonic() - begun:.0f} s, '
            + ', '.join(f'{done[what]} {what}' for what in sorted(done)),
            flush=True,
        )
        given_up, wrong = storm.judge(server, board, wanted)
        print(f'{given_up} copies were given up', flush=True)
        print('\n'.join(wrong) or 'everything is in order', flush=True)
        return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
