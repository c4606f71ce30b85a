# SPDX-License-Identifier: Apache-2.0

"""The board of each kind against a real server: who owns which job."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
import uuid

import pytest
from taskflow import exceptions
from taskflow.jobs import base

from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.ownership import job_lease
from glance_copy_plugin.transfer import errors
from tests.functional import helpers
from tests.harness import process
from tests.parts import boards

DETAILS = jobs.Details(
    image_id='image', task_id=str(uuid.uuid4()), request_id='request',
    stores=('s1',), sources=('src',), project_id='p', user_id='u',
    priority=base.JobPriority.LOW,
)
NOTHING = jobs.Stores(names=('s1',), writable=())
# Shorter than any server's shortest one would be made longer.
EXPIRY = 4


@pytest.fixture(scope='module')
def started(tmp_path_factory):
    """Give a function that returns a server, started when first asked for."""
    with contextlib.ExitStack() as stack:
        found = {}

        def get(kind, encrypted=False):
            if (kind, encrypted) not in found:
                found[kind, encrypted] = stack.enter_context(boards.started(
                    kind, tmp_path_factory.mktemp(kind), encrypted
                ))
            return found[kind, encrypted]

        yield get


@pytest.fixture(params=boards.KINDS)
def kind(request):
    return request.param


@pytest.fixture
def server(kind, started):
    return started(kind)


@pytest.fixture
def namespace():
    return f'test-{uuid.uuid4()}'


@pytest.fixture
def board(server, namespace):
    return server.board(namespace=namespace)


@pytest.fixture
def job(board):
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    return job


@pytest.fixture
def other(server, namespace, job):
    """Another process, which has claimed the job."""
    settings = server.settings(namespace=namespace, expiry=EXPIRY)
    with subprocess.Popen(
        boards.other_process(), cwd=process.ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as started:
        try:
            tell(started, json.dumps(settings))
            assert started.stdout.readline() == 'True\n'
            yield started
        finally:
            started.kill()


def tell(started, line):
    started.stdin.write(line + '\n')
    started.stdin.flush()


def silent(board):
    """Return if the board does not answer now."""
    try:
        board.ping()
    except board_client.JobboardUnreachable:
        return True
    return False


def wait_answer(board):
    helpers.wait_until(lambda: not silent(board), 'an answer')


def test_a_board_is_spoken_to_only_if_somebody_vouches_for_it(kind, started):
    server = started(kind, encrypted=True)
    server.board().ping()
    with pytest.raises(board_client.JobboardUnreachable):
        server.board(ca_file=None).ping()


def test_a_wrong_password_is_refused_and_not_shown(
    server, board, job, namespace,
):
    intruder = server.board(namespace=namespace, password='wrong-secret')
    with pytest.raises(board_client.JobboardUnreachable) as refusal:
        intruder.jobs()
    assert 'wrong-secret' not in str(refusal.value)
    if server.kind != 'zookeeper':
        assert 'password' in str(refusal.value)
    assert len(board.jobs()) == 1


@pytest.mark.parametrize('kind', boards.KINDS[1:2], indirect=True)
def test_a_user_with_rights_to_its_namespace_only_is_enough(server, board):
    board.ping()
    with pytest.raises(
        board_client.JobboardUnreachable, match='permission denied'
    ):
        server.board(namespace='else').jobs()


@pytest.mark.parametrize('kind', boards.KINDS[:1], indirect=True)
def test_a_user_of_redis_with_few_rights_is_enough(server, namespace):
    server.client().acl_setuser(
        'copier', enabled=True, passwords=['+few'], keys=['test*'],
        categories=['+@all', '-@admin', '-@dangerous'],
    )
    board = server.board(
        username='copier', password='few', namespace=namespace
    )
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    assert board.claim(job, 'a/1')
    assert board.extend(job, 'a/1')
    board.announce('a', NOTHING)
    assert board.workers() == {'a': NOTHING}
    board.withdraw('a')
    board.consume(job, 'a/1')
    assert (board.jobs(), board.workers()) == ([], {})


# What is on it.


def test_a_job_carries_what_it_was_posted_with(board, job):
    assert job.details == DETAILS
    assert job.uuid == DETAILS.task_id


def test_a_job_is_there_once_however_often_it_is_posted(
    server, board, namespace,
):
    assert board.post(DETAILS)
    assert not board.post(DETAILS)
    assert not server.board(namespace=namespace).post(DETAILS)
    ((job, _owner),) = board.jobs()
    board.claim(job, 'a/1')
    assert not board.post(DETAILS)
    assert [owner for _job, owner in board.jobs()] == ['a/1']
    board.consume(job, 'a/1')
    assert board.post(DETAILS)
    ((job, owner),) = board.jobs()
    assert owner is None
    assert board.claim(job, 'b/1')


@pytest.mark.parametrize('nonsense', boards.NO_JOBS)
def test_what_is_no_job_hides_no_other(
    board, server, namespace, job, nonsense,
):
    server.write_job(namespace, uuid.uuid4(), nonsense)
    for _look in range(2):
        assert [each.uuid for each, _owner in board.jobs()] == [job.uuid]
    assert board.claim(job, 'a/1')


@pytest.mark.parametrize('content', boards.NO_OWNERS)
def test_nobody_can_take_a_job_whose_owner_cannot_be_read(
    board, server, namespace, job, content,
):
    server.write_owner(namespace, job, content)
    for _look in range(2):
        ((_job, owner),) = board.jobs()
        assert owner.isprintable()
        assert owner != ''
    assert not board.is_owner(job, 'a/1')
    assert not board.claim(job, 'a/1')
    assert not board.extend(job, 'a/1')
    board.consume(job, 'a/1')
    board.abandon(job, 'a/1')
    task_id = str(uuid.uuid4())
    assert board.post(dataclasses.replace(DETAILS, task_id=task_id))
    (free,) = [each for each, owner in board.jobs() if owner is None]
    assert free.uuid == task_id
    assert board.claim(free, 'a/1')


@pytest.mark.parametrize('content', boards.NO_WORKERS)
def test_what_is_no_worker_hides_no_other(
    board, server, namespace, content,
):
    board.announce('a', NOTHING)
    server.write_worker(namespace, content)
    assert board.workers() == {'a': NOTHING}


def test_jobs_say_when_they_were_posted(board):
    ids = [str(uuid.uuid4()) for _ in range(5)]
    for task_id in ids:
        board.post(dataclasses.replace(DETAILS, task_id=task_id))
        wait_for_the_clock()
    found = sorted(
        (job for job, _owner in board.jobs()), key=lambda job: job.created_on
    )
    assert [job.uuid for job in found] == ids


def wait_for_the_clock():
    """Return when ZooKeeper, which counts milliseconds, tells another time."""
    end = time.time() + 0.002
    helpers.wait_until(lambda: time.time() > end, 'the next millisecond')


def test_workers_are_known_until_they_withdraw(board, server, namespace):
    board.announce('a', NOTHING)
    board.announce('a', NOTHING)
    board.announce('b', jobs.Stores(names=(), writable=('s2',)))
    found = server.board(namespace=namespace).workers()
    assert sorted(found) == ['a', 'b']
    assert found['a'] == NOTHING
    board.withdraw('a')
    board.withdraw('a')
    assert list(board.workers()) == ['b']


def test_other_namespaces_are_not_seen(server, board, job, namespace):
    other = server.board(namespace=namespace + '2')
    assert other.jobs() == []
    other.announce('b', NOTHING)
    assert board.workers() == {}


# Whose a job is.


def test_a_job_has_one_owner(board, job, server, namespace):
    other = server.board(namespace=namespace)
    ((same, _owner),) = other.jobs()
    assert board.claim(job, 'a/1')
    assert not other.claim(same, 'b/1')
    assert not board.claim(job, 'a/2')
    ((_job, owner),) = other.jobs()
    assert owner == 'a/1'


def test_nobody_renews_or_ends_what_is_not_theirs(board, job):
    board.claim(job, 'a/1')
    assert not board.extend(job, 'b/1')
    assert not board.consume(job, 'b/1')
    assert not board.abandon(job, 'b/1')
    assert board.is_owner(job, 'a/1')
    assert board.extend(job, 'a/1')


def test_a_job_that_was_given_back_can_be_claimed(board, job):
    board.claim(job, 'a/1')
    board.abandon(job, 'a/1')
    assert not board.extend(job, 'a/1')
    assert board.claim(job, 'b/1')
    board.consume(job, 'b/1')
    assert board.jobs() == []
    assert not board.is_owner(job, 'b/1')
    assert not board.claim(job, 'c/1')


# With ZooKeeper a claim lasts as long as the connection.
@pytest.mark.parametrize('kind', boards.KINDS[:2], indirect=True)
def test_a_claim_that_is_renewed_lasts(server, namespace):
    board = server.board(namespace=namespace, expiry=EXPIRY)
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    board.claim(job, 'a/1')
    assert board.extend(job, 'a/1')
    board.abandon(job, 'a/1')
    # Not the first claim's end is put off.
    board.claim(job, 'a/2')
    # It lasts as long as a claim, begins later, and is not repeated.
    board.announce('passing', NOTHING)

    def passed():
        assert board.extend(job, 'a/2')
        return not board.workers()

    helpers.wait_until(passed, 'the time of a claim')
    assert board.is_owner(job, 'a/2')


def test_the_claim_of_a_process_that_hangs_ends_and_it_learns_that(
    board, job, other,
):
    assert list(board.workers()) == ['other']
    assert not board.claim(job, 'a/1')
    os.kill(other.pid, signal.SIGSTOP)
    helpers.wait_until(lambda: board.claim(job, 'a/1'), 'the end of a claim')
    helpers.wait_until(lambda: not board.workers(), 'nobody')
    os.kill(other.pid, signal.SIGCONT)
    tell(other, 'go on')
    assert other.stdout.readline() == 'False\n'
    assert board.is_owner(job, 'a/1')


# With releases whose boards were TaskFlow's.


@pytest.fixture
def taskflow_board(server, namespace):
    """TaskFlow's own board, on the same server and in the same namespace."""
    with server.taskflow_board(namespace) as made:
        yield made


def test_a_job_that_taskflow_has_posted_can_be_made(
    server, board, taskflow_board,
):
    posting = DETAILS.as_posting()
    posted = taskflow_board.post(
        posting['name'], details=posting['details'], priority=DETAILS.priority
    )
    ((job, owner),) = board.jobs()
    assert (job.uuid, job.details, owner) == (posted.uuid, DETAILS, None)
    server.taskflow_claim(taskflow_board, posted, 'old/1')
    assert [owner for _job, owner in board.jobs()] == ['old/1']
    assert not board.claim(job, 'new/1')
    taskflow_board.abandon(posted, 'old/1')
    assert board.claim(job, 'new/1')
    with pytest.raises(exceptions.UnclaimableJob):
        server.taskflow_claim(taskflow_board, posted, 'old/1')
    assert taskflow_board.find_owner(posted) == 'new/1'
    with pytest.raises(exceptions.JobFailure):
        taskflow_board.consume(posted, 'old/1')
    assert board.extend(job, 'new/1')
    assert board.consume(job, 'new/1')
    assert board.jobs() == []
    with pytest.raises((exceptions.NotFound, exceptions.UnclaimableJob)):
        server.taskflow_claim(taskflow_board, posted, 'old/1')


def test_taskflow_can_make_a_job_that_was_posted_here(
    server, board, job, taskflow_board,
):
    same = server.taskflow_job(taskflow_board, job)
    assert board.claim(job, 'new/1')
    with pytest.raises(exceptions.UnclaimableJob):
        server.taskflow_claim(taskflow_board, same, 'old/1')
    assert board.abandon(job, 'new/1')
    server.taskflow_claim(taskflow_board, same, 'old/1')
    assert [owner for _job, owner in board.jobs()] == ['old/1']
    assert not board.claim(job, 'new/1')
    assert not board.extend(job, 'new/1')
    assert not board.consume(job, 'new/1')
    assert board.extend(job, 'old/1')
    taskflow_board.consume(same, 'old/1')
    assert board.jobs() == []
    assert not board.claim(job, 'new/1')
    assert board.post(DETAILS)


# When it fails.


def test_a_board_that_hangs_is_silent_before_a_claim_would_end(
    server, namespace,
):
    board = server.board(namespace=namespace, expiry=60)
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    board.claim(job, 'a/1')
    server.pause()
    try:
        with pytest.raises(board_client.JobboardUnreachable):
            board.is_owner(job, 'a/1')
    finally:
        server.go_on()
    # Nobody has renewed it.
    wait_answer(board)
    assert board.is_owner(job, 'a/1')


def test_a_claim_that_ended_in_silence_is_given_back_once_the_board_answers(
    server, namespace, monkeypatch,
):
    board = server.board(namespace=namespace, expiry=60)
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    board.claim(job, 'a/1')
    # As if the silence had begun as long ago as a claim lasts.
    monkeypatch.setattr(board, 'expiry', 0)
    claim = job_lease.JobLease(board, job, 'a/1', DETAILS)
    server.pause()
    try:
        with pytest.raises(errors.LeaseLost):
            claim.check()
        claim.release()
    finally:
        server.go_on()
    wait_answer(board)
    assert not claim.ended
    claim.renew()
    assert claim.ended
    assert [owner for _job, owner in board.jobs()] == [None]


def test_a_board_that_is_restarted_has_all_that_it_had(server, board, job):
    board.claim(job, 'a/1')
    server.kill()
    with pytest.raises(board_client.JobboardUnreachable):
        board.is_owner(job, 'a/1')
    server.start()
    wait_answer(board)
    assert board.extend(job, 'a/1')
    board.consume(job, 'a/1')
    assert board.jobs() == []


def test_a_board_that_has_lost_its_data_can_be_used_again(
    server, namespace,
):
    board = server.board(namespace=namespace, expiry=EXPIRY)
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    board.claim(job, 'a/1')
    server.forget()
    wait_answer(board)
    assert board.jobs() == []
    assert not board.is_owner(job, 'a/1')
    assert not board.extend(job, 'a/1')
    board.consume(job, 'a/1')
    assert board.post(DETAILS)
    ((job, owner),) = board.jobs()
    assert owner is None
    assert board.claim(job, 'b/1')


@pytest.mark.parametrize('kind', boards.KINDS[2:], indirect=True)
def test_a_claim_that_nobody_knows_to_have_made_is_undone(
    board, job, monkeypatch,
):
    kazoo = pytest.importorskip('kazoo.exceptions')
    request = pytest.importorskip('kazoo.client').TransactionRequest
    commit = request.commit

    def late(asked):
        commit(asked)
        raise kazoo.ConnectionLoss

    with monkeypatch.context() as patch:
        patch.setattr(request, 'commit', late)
        with pytest.raises(board_client.JobboardUnreachable):
            board.claim(job, 'a/1')
    assert board.is_owner(job, 'a/1')
    ((_job, owner),) = board.jobs()
    assert owner is None
    assert board.claim(job, 'b/1')
    assert [owner for _job, owner in board.jobs()] == ['b/1']
