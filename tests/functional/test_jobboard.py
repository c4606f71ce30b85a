# SPDX-License-Identifier: Apache-2.0

"""Copies that the Image service posts and workers make."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import endpoint as endpoint_
from tests.parts import boards

STORES = ['s1', 's2', 's3']


@pytest.fixture(scope='module')
def board(each_board):
    return each_board


@pytest.fixture(scope='module')
def server(start_glance, board):
    return start_glance(
        f'posting-{board.kind}', jobboard.settings(board), workers=2,
        audit=True,
    )


@pytest.fixture
def client(server):
    return Client(server)


def test_a_worker_makes_the_copy_that_was_asked_for(server, board, client):
    image_id = client.create_image(helpers.data(6 * MIB + 1))
    with jobboard.workers(server, 'host-a'):
        task = helpers.copy(client, image_id, STORES)
    assert task['status'] == 'success'
    helpers.assert_copied(server, client, image_id, STORES)
    jobboard.check(server, board, image_id, ['src', *STORES])


def test_without_a_worker_the_copy_waits_on_the_board(server, board, client):
    image_id = client.create_image(helpers.data())
    answer = client.copy(image_id, ['s1'])
    assert answer.status_code == 202, answer.text
    # Whoever is told "accepted" finds the job there.
    assert jobboard.jobs(board) == 1
    assert set(helpers.rows(server, image_id)) == {'src'}
    assert client.copy(image_id, ['s2']).status_code == 409
    with jobboard.workers(server, 'host-a'):
        task = client.wait_copy(image_id)
    assert task['status'] == 'success'
    jobboard.check(server, board, image_id, ['src', 's1'])


def test_a_board_that_is_down_is_an_answer_and_leaves_nothing(
    server, board, client,
):
    image_id = client.create_image(helpers.data())
    board.stop()
    try:
        answer = client.copy(image_id, ['s1'])
    finally:
        board.start()
    assert answer.status_code == 503
    assert 'the board that workers take them from' in answer.text
    assert client.copy_task(image_id) is None
    assert server.tasks(image_id) == []
    server.invariants.assert_hold()
    with jobboard.workers(server, 'host-a'):
        assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'


def test_the_password_of_the_board_is_nowhere_to_be_read(
    server, board, client,
):
    image_id = client.create_image(helpers.data())
    client.copy(image_id, ['s1'])
    posted = [job.details for job, _owner in jobboard.jobs_on(board)]
    assert [each['image_id'] for each in posted] == [image_id]
    with jobboard.workers(server, 'host-a') as (worker,):
        client.wait_copy(image_id)
        log = worker.log.read_text()
        commands = [each.cmdline() for each in worker.processes()]
    for shown in (log, helpers.log_of(server), str(posted), str(commands)):
        assert board.password not in shown


def test_the_state_of_the_board_can_be_asked_for(server, board, client):
    assert status(server) == (1, 'workers: 0; copies that wait: 0\n')
    with jobboard.workers(server, 'host-a') as (worker,):
        helpers.wait_until(lambda: status(server)[0] == 0, 'a worker')
        assert 'copies: 0; writes src, s1, s2, s3' in status(server)[1]
        # Each process tells what it is doing when it is asked to.
        for process in worker.processes():
            os.kill(process.pid, signal.SIGUSR2)
        helpers.wait_until(
            lambda: worker.log.read_text().count('Guru Meditation') >= 2,
            'a report of each process',
        )
    assert status(server) == (1, 'workers: 0; copies that wait: 0\n')
    board.stop()
    try:
        assert status(server)[0] == 2
    finally:
        board.start()


def test_nonsense_on_the_board_keeps_no_other_copy_from_being_made(
    server, board, client,
):
    hindered = client.create_image(helpers.data())
    client.copy(hindered, ['s1'])
    with contextlib.closing(
        board.board(namespace=jobboard.NAMESPACE)
    ) as asked:
        ((job, _owner),) = asked.jobs()
        boards.claim_nonsense(board.kind, asked, job, b'nonsense')
        boards.announce_nonsense(board.kind, asked, b'nonsense')
    name = 'nonsense' if board.kind == 'redis' else 'unknown'
    assert status(server) == (
        1, f'{name}: gone; copies not yet taken over: 1\n'
        'workers: 0; copies that wait: 0\n',
    )
    with jobboard.workers(server, 'host-a'):
        image_id = client.create_image(helpers.data())
        assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
        assert 'workers: 1; copies that wait: 0\n' in status(server)[1]
        board.forget()
        # Nobody has claimed it any more.
        assert client.wait_copy(hindered)['status'] == 'success'
    jobboard.check(server, board, hindered, ['src', 's1'])


def test_the_health_of_a_worker_is_that_of_its_board(server, board, client):
    endpoint = endpoint_.Endpoint()
    with jobboard.workers(server, 'host-a', settings=endpoint.settings):
        helpers.wait_until(endpoint.healthy, 'a healthy worker')
        helpers.wait_until(
            lambda: endpoint.value('board_workers') == 1, 'an announcement'
        )
        board.stop()
        try:
            status, said = endpoint.health()
            assert endpoint.value('board_up') == 0
        finally:
            board.start()
        assert status == 503
        assert said.startswith('the board of copies does not answer: ')
        assert board.password not in said
        helpers.wait_until(endpoint.healthy, 'a healthy worker')
        image_id = client.create_image(helpers.data())
        assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    jobboard.check(server, board, image_id, ['src', 's1'])


def status(server):
    """Return the exit status and the words of the command."""
    tool = pathlib.Path(sys.executable).with_name('glance-copy-worker')
    done = subprocess.run(
        [tool, 'status', '--config-dir', server.conf.parent],
        capture_output=True, text=True, env=server.process_environment(),
    )
    return done.returncode, done.stdout


def debugging(worker):
    """Return the ids of the processes that have logged for debugging."""
    return {
        int(words[2]) for words in map(
            str.split, worker.log.read_text().splitlines()
        ) if words[3:4] == ['DEBUG']
    }


def reload(worker, debug):
    worker.configure('DEFAULT', debug=debug)
    os.kill(worker.pid, signal.SIGHUP)


def test_a_reload_changes_what_is_logged_and_disturbs_no_copy(
    server, board, client,
):
    with (
        helpers.Source() as source,
        jobboard.workers(server, 'host-a', workers=2) as (worker,),
    ):
        image_id, offer = helpers.held_image(server, client, source)
        task_id = helpers.start(client, image_id, ['s1'])
        assert offer.reached.wait(60)
        before = {process.pid for process in worker.processes()}
        helpers.wait_until(
            lambda: len(jobboard.announced(board)) == 2, 'two processes'
        )
        assert debugging(worker) == set()
        reload(worker, debug=True)
        helpers.wait_until(
            lambda: debugging(worker) == before, 'lines for debugging'
        )
        reload(worker, debug=False)
        offer.release()
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
        assert {process.pid for process in worker.processes()} == before
        assert 'is left to the next process' not in worker.log.read_text()
        # As the first, so the second time: nobody logs for debugging.
        worker.log.write_text('')
        image_id = client.create_image(helpers.data())
        assert helpers.copy(client, image_id, ['s2'])['status'] == 'success'
        assert 'was copied to store s2' in worker.log.read_text()
        assert debugging(worker) == set()
    jobboard.check(server, board, image_id, ['src', 's2'])
