# SPDX-License-Identifier: Apache-2.0

"""Many copies while their workers are killed and paused at random moments."""

import collections
import math
import os
import signal
import threading

from tests.functional import helpers
from tests.functional import jobboard
from tests.harness import Client

STORES = ('s1', 's2', 's3')
SIZES = (1, 1000, 2 ** 16, 2 ** 20)
# Of the disturbances; all others are kills of one process.
POWER_CUTS = 0.1
PAUSES = 0.1
# The second one if it was killed once more when it was to say so.
GIVEN_UP = ('interrupted again and again', 'interrupted before it could say')
LIVE = (
    "SELECT count(*) AS live FROM tasks WHERE status NOT IN "
    "('success', 'failure') AND type = 'api_image_import'"
)


def post(server, dice, count, choices=None):
    """Ask for so many copies; return ``{image: its stores}``.

    :param choices: to which stores a copy may go; to any by default
    """
    client = Client(server)
    wanted = {}
    for _ in range(count):
        image_id = client.create_image(helpers.data(dice.choice(SIZES)))
        wanted[image_id] = dice.choice(choices) if choices else dice.sample(
            STORES, dice.randint(1, len(STORES))
        )
        answer = client.copy(image_id, wanted[image_id])
        assert answer.status_code == 202, answer.text
    return wanted


def disturb(server, board, workers, every, dice, most=math.inf):
    """Kill and pause workers that make copies, until all have ended.

    :param every: seconds between two disturbances, if there is a copy then
    :param most: how many there may be: on a machine that is slow enough,
        workers that are killed for ever come to nothing
    :returns: a counter of what was done
    """
    done = collections.Counter()
    paused = []
    ended = threading.Event()
    while server.execute(LIVE)[0]['live']:
        ended.wait(every)
        making = {
            worker: jobboard.making(board) & _ids(worker)
            for worker in workers
        }
        for worker in paused[:]:
            # Its claims have expired.
            if not making[worker]:
                paused.remove(worker)
                worker.go_on()
        busy = [
            each for each in workers if making[each] and each not in paused
        ]
        if not busy or done.total() >= most:
            continue
        worker = dice.choice(busy)
        number = dice.random()
        if number < PAUSES:
            worker.pause()
            paused.append(worker)
            done['pauses'] += 1
        elif number < PAUSES + POWER_CUTS:
            worker.kill()
            worker.start()
            done['power cuts'] += 1
        else:
            # The process that keeps them starts another.
            done['kills'] += _killed(dice.choice(sorted(making[worker])))
    for worker in paused:
        worker.go_on()
    return done


def _killed(pid):
    """Kill a process; return False if it had ended since it was found."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _ids(worker):
    return {each.pid for each in worker.processes()}


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
        message = helpers.message(server, task['id'])
        if failed and not any(each in message for each in GIVEN_UP):
            wrong.append(f'{image_id}: {task}')
        recorded = sorted(row['store'] for row in server.locations(image_id))
        if recorded != sorted(['src', *(() if failed else stores)]):
            wrong.append(f'{image_id}: {recorded}, not {stores}')
    wrong += [
        f'{each.kind} {each.store} {each.image_id}: {each.detail}'
        for each in server.invariants.check()
    ]
    return given_up, wrong
