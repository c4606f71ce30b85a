# SPDX-License-Identifier: Apache-2.0

"""What ``glance-copy-worker status`` says, about a real redis."""

import io
import uuid

import pytest
from taskflow.jobs import base

from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.worker import launcher
from tests.parts import boards

STORES = jobs.Stores(names=('src', 's1', 's2'), writable=('s1', 's2'))
NOTHING = jobs.Stores(names=('src',), writable=())


@pytest.fixture
def server(tmp_path):
    with boards.started('redis', tmp_path) as started:
        yield started


@pytest.fixture
def board(server, monkeypatch):
    made = server.board()
    monkeypatch.setattr(board_client, 'of_process', lambda: made)
    return made


def post(board):
    """Post a job; return it."""
    task_id = str(uuid.uuid4())
    board.post(jobs.Details(
        image_id='image', task_id=task_id, request_id='r', stores=('s1',),
        sources=('src',), project_id='p', user_id='u',
        priority=base.JobPriority.NORMAL,
    ))
    (job,) = [job for job, _owner in board.jobs() if job.uuid == task_id]
    return job


def status():
    """Return the exit status and the lines of the command."""
    out = io.StringIO()
    return launcher.status(out), out.getvalue().splitlines()


def test_it_says_who_works_and_what_waits(board):
    post(board)
    assert status() == (1, ['workers: 0; copies that wait: 1'])
    board.announce('a', STORES)
    board.announce('b', NOTHING)
    board.claim(post(board), 'a/1')
    assert status() == (0, [
        'a: copies: 1; writes s1, s2',
        'b: copies: 0; writes no store',
        'workers: 2; copies that wait: 1',
    ])


def test_it_says_which_copies_nobody_has_taken_over_yet(server, board):
    board.claim(post(board), 'a/1')
    server.write_owner('test', post(board), b'nonsense')
    server.write_worker('test', b'nonsense')
    assert status() == (1, [
        'a: gone; copies not yet taken over: 1',
        'nonsense: gone; copies not yet taken over: 1',
        'workers: 0; copies that wait: 0',
    ])


def test_it_says_that_the_board_does_not_answer(server, board):
    server.stop()
    code, (said,) = status()
    assert code == 2
    assert said.startswith('Jobboard unreachable: ')
    assert server.password not in said
