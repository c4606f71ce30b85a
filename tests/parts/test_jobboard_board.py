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

"""The board against a real redis: who may speak to it, and who owns what."""

import contextlib
import dataclasses

import pytest

from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.jobboard import details
from glance_copy_plugin.jobboard import options
from glance_copy_plugin.jobboard import placement
from tests.harness import redis
from tests.irods_server import certificate

DETAILS = details.Details(
    image_id='image', task_id='task', request_id='request', stores=('s1',),
    sources=('src',), project_id='p', user_id='u',
)


def settings(server, **other):
    found = options.Settings(
        host='127.0.0.1', port=server.port, database=1, username=None,
        password=server.password, tls=False, ca_file=None, cert_file=None,
        key_file=None, namespace='test', expiry=30,
    )
    return dataclasses.replace(found, **other)


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    with started(redis.Redis(tmp_path_factory.mktemp('redis'))) as server:
        yield server


@pytest.fixture(scope='module')
def encrypted(tmp_path_factory):
    folder = tmp_path_factory.mktemp('redis-tls')
    certificate.make(folder)
    server = redis.Redis(
        folder, (folder / 'server.crt', folder / 'server.key')
    )
    with started(server):
        yield server


@pytest.fixture
def board(plain):
    plain.client().flushdb()
    return board_.Board(settings(plain))


@pytest.fixture
def job(board):
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    return job


@contextlib.contextmanager
def started(server):
    try:
        with server:
            yield server
    except redis.Unavailable as why:
        pytest.skip(str(why))


def test_a_board_that_is_trusted_answers(encrypted):
    board = board_.Board(settings(
        encrypted, tls=True, ca_file=str(encrypted.folder / 'server.crt'),
    ))
    board.ping()


def test_a_board_that_nobody_vouches_for_is_not_spoken_to(encrypted):
    board = board_.Board(settings(encrypted, tls=True))
    with pytest.raises(board_.BoardSilent, match='(?i)certificate'):
        board.ping()


def test_a_wrong_password_is_said_and_not_shown(plain):
    board = board_.Board(settings(plain, password='wrong-secret'))
    with pytest.raises(board_.BoardSilent) as refusal:
        board.ping()
    assert 'wrong-secret' not in str(refusal.value)
    assert 'password' in str(refusal.value)


def test_a_job_has_one_owner(board, job):
    assert board.claim(job, 'a/1')
    assert not board.claim(job, 'b/1')
    assert not board.claim(job, 'a/2')
    ((_job, owner),) = board.jobs()
    assert owner == 'a/1'


def test_a_claim_ends_by_itself(board, job, plain):
    board.claim(job, 'a/1')
    (key,) = plain.client().keys('test:*.owned')
    assert 0 < plain.client().pttl(key) <= 30000


def test_nobody_renews_or_ends_what_is_not_theirs(board, job, plain):
    board.claim(job, 'a/1')
    (key,) = plain.client().keys('test:*.owned')
    plain.client().pexpire(key, 10000)
    assert not board.extend(job, 'b/1')
    board.consume(job, 'b/1')
    board.abandon(job, 'b/1')
    assert plain.client().pttl(key) <= 10000
    assert board.is_owner(job, 'a/1')
    assert board.extend(job, 'a/1')
    assert plain.client().pttl(key) > 10000


def test_a_job_that_was_given_back_can_be_claimed(board, job):
    board.claim(job, 'a/1')
    board.abandon(job, 'a/1')
    assert board.claim(job, 'b/1')
    board.consume(job, 'b/1')
    assert board.jobs() == []
    assert not board.is_owner(job, 'b/1')


def test_a_job_carries_what_it_was_posted_with(board, job):
    assert details.of_job(job) == DETAILS
    assert board.has_job_of('task')
    assert not board.has_job_of('another')


def test_a_user_of_redis_with_few_rights_is_enough(plain):
    plain.client().acl_setuser(
        'copier', enabled=True, passwords=['+few'], keys=['test:*'],
        categories=['+@all', '-@admin', '-@dangerous'], commands=['+info'],
    )
    board = board_.Board(settings(plain, username='copier', password='few'))
    plain.client().flushdb()
    board.post(DETAILS)
    ((job, _owner),) = board.jobs()
    assert board.claim(job, 'a/1')
    assert board.extend(job, 'a/1')
    board.announce('a', placement.Stores(names=('s1',), writable=()))
    assert list(board.workers()) == ['a']
    board.withdraw('a')
    board.consume(job, 'a/1')
    assert (board.jobs(), board.workers()) == ([], {})
