# SPDX-License-Identifier: Apache-2.0

"""Copies that the Image service posts and workers make."""

import contextlib
import os
import random
import re
import signal
import time

import pytest
import requests

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional import replicating
from tests.functional import storm
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import moments
from tests.harness import worker as worker_

LOW = {'name': 'copy-image', 'priority': 'low'}


@pytest.fixture(scope='module')
def board(each_board):
    return each_board


@pytest.fixture(scope='module')
def server(start_glance, board, switch):
    return start_glance(
        f'posting-{board.kind}',
        jobboard.settings(board, recovery_interval=0.5), audit=True,
        environment=moments.environment(switch),
    )


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture(scope='module')
def worker(server):
    """A worker that does not have the store s3."""
    with worker_.Worker(
        server, 'host-a', stores=['src', 's1', 's2'], workers=2,
    ) as started:
        yield started


@pytest.fixture(scope='module')
def central(server):
    """The worker that has it, and makes one copy at a time."""
    with worker_.Worker(
        server, 'central', stores=['src', 's3'], concurrency=1,
    ) as started:
        yield started


def test_a_copy_waits_on_the_board_for_a_worker_that_has_its_store(
    server, board, client, request,
):
    image_id = client.create_image(helpers.data())
    answer = client.copy(image_id, ['s3'])
    assert answer.status_code == 202, answer.text
    # Whoever is told "accepted" finds the job there.
    ((job, owner),) = jobboard.jobs_on(board)
    assert (job.details.image_id, owner) == (image_id, None)
    assert board.password not in str(job.details)
    assert set(helpers.rows(server, image_id)) == {'src'}
    assert client.copy(image_id, ['s2']).status_code == 409
    worker = request.getfixturevalue('worker')
    (task,) = server.tasks(image_id)
    helpers.wait_until(
        lambda: 'no worker that runs can write s3' in (
            helpers.message(server, task['id']) or ''
        ), 'a message that says what is missing',
    )
    # It keeps nothing else waiting.
    other = client.create_image(helpers.data())
    assert helpers.copy(client, other, ['s1'])['status'] == 'success'
    assert jobboard.jobs(board) == 1
    request.getfixturevalue('central')
    assert client.wait_copy(image_id)['status'] == 'success'
    jobboard.check(server, board, image_id, ['src', 's3'])
    assert image_id not in worker.log.read_text()


def test_a_worker_makes_the_copy_that_was_asked_for(
    server, board, client, worker,
):
    image_id = client.create_image(helpers.data(6 * MIB + 1))
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'success'
    helpers.assert_copied(server, client, image_id, ['s1', 's2'])
    jobboard.check(server, board, image_id, ['src', 's1', 's2'])


def test_the_password_of_the_board_is_nowhere_to_be_read(
    server, board, worker,
):
    helpers.wait_until(lambda: jobboard.announced(board), 'its processes')
    processes = worker.processes()
    for process in processes:
        os.kill(process.pid, signal.SIGUSR2)
    helpers.wait_until(
        lambda: worker.log.read_text().count('copy_image:') == len(processes),
        'what each process reports of its configuration',
    )
    log = worker.log.read_text()
    assert 'jobboard_password = ***' in log
    commands = [each.cmdline() for each in processes]
    for shown in (log, helpers.log_of(server), str(commands)):
        assert board.password not in shown


def test_a_board_that_is_down_is_an_answer_and_leaves_nothing(
    server, board, client, worker,
):
    image_id = client.create_image(helpers.data())
    board.stop()
    try:
        answer = client.copy(image_id, ['s1'])
    finally:
        board.start()
    assert answer.status_code == 503
    assert 'the jobboard that workers take them from' in answer.text
    assert client.copy_task(image_id) is None
    assert server.tasks(image_id) == []
    server.invariants.assert_hold()
    # With ZooKeeper the service has to wait for the end of its old session.
    helpers.wait_until(
        lambda: client.copy(image_id, ['s1']).status_code == 202,
        'an answer of the board to the service',
    )
    assert client.wait_copy(image_id)['status'] == 'success'


@pytest.mark.parametrize('place', [
    pytest.param('accept-judged', marks=pytest.mark.long),
    pytest.param('accept-claimed', marks=pytest.mark.long),
    pytest.param('flow-asked', marks=pytest.mark.long),
    'posted',
])
def test_a_service_that_dies_loses_no_copy_and_posts_none_twice(
    server, board, client, worker, switch, place,
):
    image_id = client.create_image(helpers.data())
    (process,) = server.worker_pids
    moments.order(switch, place)
    with contextlib.suppress(requests.ConnectionError):
        client.copy(image_id, ['s1'])
    helpers.wait_until(lambda: not switch.exists(), f'a kill at {place}')
    helpers.wait_until(lambda: process not in server.worker_pids, 'its end')
    journal = server.staging / 'copy-image' / 'journal'
    helpers.wait_until(
        lambda: not list(journal.glob('*-*-*')), 'an empty journal'
    )
    asked = server.tasks(image_id)
    assert len(asked) <= 1
    if asked:
        assert client.wait_copy(image_id)['status'] == 'success'
    jobboard.check(
        server, board, image_id, ['src', *(['s1'] if asked else [])],
    )
    assert begun(worker).count(image_id) == len(asked)


def test_a_worker_that_is_told_to_stop_gives_its_copies_back_at_once(
    server, board, client, central,
):
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        task_id = helpers.start(client, image_id, ['s3'])
        assert offer.reached.wait(60)
        central.stop()
        assert central.returncode == 0
        assert jobboard.owners(board) == []
        assert jobboard.jobs(board) == 1
        assert helpers.status(server, task_id) == 'processing'
        assert helpers.files(central.staging) == []
        central.start()
        offer.release()
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
        jobboard.check(server, board, image_id, ['web', 's3'])


@pytest.fixture
def busy(server, client, central):
    """Keep that worker busy: what is asked for waits, until this is called."""
    with helpers.Source() as source:
        image_id, offer = helpers.held_image(server, client, source)
        helpers.start(client, image_id, ['s3'])
        assert offer.reached.wait(60)
        yield offer.release


def post(server, project, count=1, **body):
    """Have a project post copies; return its images, oldest first."""
    client = Client(server, f'user:{project}:admin,member,reader')
    found = []
    for _ in range(count):
        found.append(client.create_image(helpers.data(1000)))
        answer = client.copy(found[-1], ['s3'], **body)
        assert answer.status_code == 202, answer.text
    return found


def begun(worker):
    """Return the images of the copies that it has begun, in order."""
    return re.findall(
        'Carrying on with the copy of image ([0-9a-f-]+)',
        worker.log.read_text(),
    )


def made(board, central, count):
    """Return the images of the last copies that it has begun."""
    helpers.wait_until(lambda: jobboard.jobs(board) == 0, 'an empty board')
    return begun(central)[-count:]


def test_projects_take_turns_and_low_priority_waits_for_all_others(
    server, board, central, busy,
):
    low = post(server, 'bulk', 2, method=LOW)
    many = post(server, 'many', 3)
    single = post(server, 'single')
    busy()
    assert made(board, central, 6) == [many[0], *single, *many[1:], *low]


def test_what_fill_asks_for_waits_for_what_users_ask_for(
    server, board, central, busy,
):
    image_id = Client(server).create_image(helpers.data(1000))
    filling = replicating.start(
        'fill', 's3', '--server', server.url, '--token', replicating.ADMIN,
        '--id', image_id,
    )
    helpers.wait_until(lambda: jobboard.jobs(board) == 2, 'its job')
    usual = post(server, 'bulk')
    busy()
    assert made(board, central, 2) == [*usual, image_id]
    done = replicating.finish(filling)
    assert done.by_image() == {image_id: 'copied'}, done


def test_copies_end_well_while_their_workers_are_killed_and_paused(
    server, board, worker, central,
):
    seed = int(os.environ.get('SEED') or time.time())
    print(f'SEED={seed}')
    dice = random.Random(seed)  # noqa: S311
    workers = [worker, central]
    # Nothing is done before everything is there.
    for each in workers:
        each.pause()
    wanted = storm.post(server, dice, 16, [['s1'], ['s1', 's2'], ['s3']])
    for each in workers:
        each.go_on()
    done = storm.disturb(server, board, workers, 0.1, dice, most=4)
    assert done.total() > 0
    _given_up, wrong = storm.judge(server, board, wanted)
    assert wrong == []
