# SPDX-License-Identifier: Apache-2.0

"""The claim loop on a real board, when it cannot do what it should."""

import threading
import uuid

import pytest
from taskflow.jobs import base

from glance_copy_plugin.flow import takeover
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.records import tasks
from glance_copy_plugin.worker import claim_loop
from glance_copy_plugin.worker import periodic_work
from tests.functional import helpers
from tests.parts import boards

STORES = jobs.Stores(names=('src', 's1'), writable=('s1',))
PATIENCE = 300


class Copies:
    """Takes the place of making copies: each goes on until it is told."""

    def __init__(self):
        self.begun = []
        self._ends = {}

    def expect(self, task_id):
        self._ends[task_id] = threading.Event()

    def end(self, task_id):
        self._ends[task_id].set()

    def carry_on(self, claim, _task):
        task_id = claim.details.task_id
        self.begun.append(task_id)
        assert self._ends[task_id].wait(PATIENCE)
        claim.remove()

    def wait_begun(self, *task_ids):
        helpers.wait_until(
            lambda: self.begun == list(task_ids), f'the copies {task_ids}'
        )


@pytest.fixture
def copies(monkeypatch):
    made = Copies()
    monkeypatch.setattr(tasks, 'by_id', lambda _task_id: None)
    monkeypatch.setattr(takeover, 'carry_on', made.carry_on)
    return made


@pytest.fixture
def server(tmp_path):
    with boards.started('redis', tmp_path) as started:
        yield started


@pytest.fixture
def board(server):
    return server.board()


@pytest.fixture
def post(board, copies):
    """Give a function that posts a copy; it returns the task's id."""
    def posted():
        task_id = str(uuid.uuid4())
        copies.expect(task_id)
        board.post(jobs.Details(
            image_id=f'image-{task_id}', task_id=task_id, request_id='r',
            stores=('s1',), sources=('src',), project_id='p', user_id='u',
            priority=base.JobPriority.NORMAL,
        ))
        return task_id

    return posted


@pytest.fixture
def running(board):
    """A loop that makes two copies at a time."""
    made = claim_loop.ClaimLoop(
        'a', board, periodic_work.LeaseRenewer(board.expiry), STORES, 2
    )
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def fail_start(monkeypatch):
    """Give a function: the next thread for a copy cannot be started."""
    start = threading.Thread.start
    orders = []

    def start_or_not(self):
        if orders and self.name.startswith('copy-image-job'):
            orders.pop()
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, 'start', start_or_not)
    return lambda: orders.append(True)


def owned(board):
    """Return ``{id of the task: True if somebody has claimed its copy}``."""
    return {job.uuid: owner is not None for job, owner in board.jobs()}


def test_a_copy_for_which_no_thread_can_be_started_is_made_once_and_later(
    board, copies, post, running, fail_start, caplog,
):
    first = post()
    copies.wait_begun(first)
    fail_start()
    second = post()
    helpers.wait_until(
        lambda: "can't start new thread" in caplog.text, 'a failure'
    )
    # What it has in its hands is not touched by that.
    assert owned(board)[first]
    copies.wait_begun(first, second)
    assert owned(board) == {first: True, second: True}
    for each in (first, second):
        copies.end(each)
    # TaskFlow has kept what it could not begin: that begins nothing.
    third = post()
    copies.wait_begun(first, second, third)
    assert owned(board) == {third: True}
    copies.end(third)
    helpers.wait_until(lambda: not board.jobs(), 'an empty board')


def test_an_outage_of_the_board_is_said_once_and_copies_go_on_after_it(
    server, board, copies, post, running, caplog,
):
    first = post()
    copies.wait_begun(first)
    server.stop()
    helpers.wait_until(
        lambda: 'Jobboard unreachable: redis: ' in caplog.text, 'a warning'
    )
    server.start()
    second = post()
    copies.wait_begun(first, second)
    assert caplog.text.count('Jobboard unreachable: ') == 1
    for each in (first, second):
        copies.end(each)
    helpers.wait_until(lambda: not board.jobs(), 'an empty board')


def test_no_more_copies_are_made_at_a_time_than_allowed(
    board, copies, post, running,
):
    first = post()
    copies.wait_begun(first)
    second = post()
    copies.wait_begun(first, second)
    third = post()
    assert owned(board) == {first: True, second: True, third: False}
    copies.end(second)
    copies.wait_begun(first, second, third)
    for each in (first, third):
        copies.end(each)
    helpers.wait_until(lambda: not board.jobs(), 'an empty board')


def test_a_loop_that_is_stopped_claims_nothing_more_and_ends_no_copy(
    board, copies, post, running,
):
    first = post()
    copies.wait_begun(first)
    running.stop()
    second = post()
    copies.end(first)
    helpers.wait_until(lambda: owned(board) == {second: False}, 'its end')
