# SPDX-License-Identifier: Apache-2.0

"""Many copies while their workers are killed and paused at random moments."""

import collections
import math
import os
import signal
import threading
import time

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client

STORES = ('s1', 's2', 's3')
SIZES = (1, 1000, 2 ** 16, 2 ** 20)
# Of the disturbances; all others are kills of one process.
POWER_CUTS = 0.1
PAUSES = 0.1
GIVEN_UP = 'interrupted again and again'
LIVE = (
    "SELECT count(*) AS live FROM tasks WHERE status NOT IN "
    "('success', 'failure') AND type = 'api_image_import'"
)


def post(server, dice, count):
    """Ask for so many copies; return ``{image: its stores}``."""
    client = Client(server)
    wanted = {}
    for _ in range(count):
        image_id = client.create_image(helpers.data(dice.choice(SIZES)))
        wanted[image_id] = dice.sample(STORES, dice.randint(1, len(STORES)))
        answer = client.copy(image_id, wanted[image_id])
        assert answer.status_code == 202, answer.text
    return wanted


def disturb(server, workers, every, dice, most=math.inf):
    """Kill and pause workers until all copies have ended; count it.

    :param every: seconds between two disturbances
    :param most: how many there may be: on a machine that is slow enough,
        workers that are killed for ever come to nothing
    """
    done = collections.Counter()
    paused = []
    ended = threading.Event()
    while server.execute(LIVE)[0]['live']:
        ended.wait(every)
        paused = [each for each in paused if not _let_go(*each)]
        awake = [each for each in workers if each not in dict(paused)]
        if not awake or done.total() >= most:
            continue
        worker = dice.choice(awake)
        number = dice.random()
        if number < PAUSES:
            worker.pause()
            paused.append((worker, time.monotonic() + jobboard.EXPIRY + 1))
            done['pauses'] += 1
        elif number < PAUSES + POWER_CUTS:
            worker.kill()
            worker.start()
            done['power cuts'] += 1
        else:
            done['kills'] += _kill_one(worker, dice)
    for worker, _until in paused:
        worker.go_on()
    return done


def _kill_one(worker, dice):
    """Kill one of the processes that make copies; tell if there was one.

    The process that keeps them starts another.
    """
    makers = [each for each in worker.processes() if each.pid != worker.pid]
    if not makers:
        return False
    os.kill(dice.choice(makers).pid, signal.SIGKILL)
    return True


def _let_go(worker, until):
    """Let a paused worker go on, if its claims have expired; tell so."""
    if time.monotonic() < until:
        return False
    worker.go_on()
    return True


def judge(server, board, wanted):
    """Look at what has become of the copies.

    Each must have succeeded, with exactly its locations, or have been given
    up because it was interrupted too often, with none; nothing may be going
    on, and an audit that reads and hashes everything must find nothing.

    :returns: how many were given up, and what is wrong: a list of lines
    """
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
    return given_up, wrong
