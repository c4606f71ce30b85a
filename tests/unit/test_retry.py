# SPDX-License-Identifier: Apache-2.0

import sqlite3

from glance.common import exception as glance_exception
import glance.context
import glance.db
from glance.db.sqlalchemy import api
from oslo_db import exception as db_exception
import pytest
import sqlalchemy as sa

from glance_copy_plugin.records import history
from glance_copy_plugin.records import locks
from glance_copy_plugin.records import retry
from glance_copy_plugin.records import tasks
from glance_copy_plugin.records import urls
from glance_copy_plugin.transfer import errors


@pytest.fixture
def path(tmp_path):
    made = tmp_path / 'records.db'
    connection = sqlite3.connect(made)
    connection.execute('CREATE TABLE stores (name TEXT PRIMARY KEY)')
    connection.close()
    return made


@pytest.fixture
def locked(path):
    """A second connection, in the middle of a transaction of its own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute('BEGIN EXCLUSIVE')
    yield connection
    connection.close()


def insert(path, name='s1'):
    connection = sqlite3.connect(path, timeout=0)
    try:
        with connection:
            connection.execute('INSERT INTO stores VALUES (?)', (name,))
    finally:
        connection.close()


def names(path):
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute('SELECT * FROM stores')]
    finally:
        connection.close()


def raised_by(function, *args):
    try:
        function(*args)
    except Exception as exc:
        return exc
    raise AssertionError('it did not fail')


def test_a_locked_database_is_transient(path, locked):
    assert retry.is_transient(raised_by(insert, path))


def test_a_locked_database_is_transient_behind_sqlalchemy(path, locked):
    engine = sa.create_engine(f'sqlite:///{path}?timeout=0')

    def execute():
        with engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO stores VALUES ('s1')"))

    error = raised_by(execute)
    engine.dispose()
    assert isinstance(error, sa.exc.OperationalError)
    assert retry.is_transient(error)
    assert retry.is_transient(db_exception.DBError(error))


def test_a_server_that_is_not_there_is_transient(tmp_path):
    engine = sa.create_engine(f'postgresql+psycopg2:///x?host={tmp_path}')
    error = raised_by(engine.connect)
    assert isinstance(error, sa.exc.OperationalError)
    assert retry.is_transient(error)
    assert retry.is_transient(db_exception.DBError(error))


@pytest.mark.parametrize('error', [
    db_exception.DBDeadlock(), db_exception.DBConnectionError(),
    errors.LeaseUnsure('for now'),
])
def test_a_deadlock_and_a_lost_connection_are_transient(error):
    assert retry.is_transient(error)


def test_other_errors_of_the_database_are_not(path):
    insert(path)
    assert not retry.is_transient(raised_by(insert, path))
    assert not retry.is_transient(raised_by(insert, path.parent / 'other'))


@pytest.mark.parametrize('error', [
    ValueError('database is locked'), db_exception.DBDuplicateEntry(),
    db_exception.DBError(ValueError('x')), db_exception.DBError(),
])
def test_errors_of_other_kinds_are_not(error):
    assert not retry.is_transient(error)


def test_a_transaction_is_tried_again_until_the_lock_is_gone(path, locked):
    tries = []

    @retry.retried
    def transaction(name):
        tries.append(name)
        if len(tries) == 3:
            locked.execute('ROLLBACK')
        insert(path, name)
        return 'done'

    assert transaction('s1') == 'done'
    assert tries == ['s1'] * 3
    assert names(path) == ['s1']


def test_a_real_error_is_raised_at_once_and_as_it_is(path):
    insert(path)
    tries = []

    @retry.retried
    def transaction():
        tries.append(1)
        insert(path)

    with pytest.raises(sqlite3.IntegrityError):
        transaction()
    assert tries == [1]


def test_a_task_that_is_gone_runs_no_more():
    class Records:
        def task_get(self, _context, _task_id):
            raise glance_exception.NotFound

    assert not tasks.TaskRecord(None, Records(), None, 'task').running()


class AskedAgain(Exception):
    """The database was asked a second time."""


@pytest.mark.parametrize('ask', [
    lambda: history.deleted_during_copy(
        glance.context.get_admin_context(), 'image'
    ),
    lambda: locks.lock('image', 'task'),
    lambda: locks.lock_holder('image'),
    lambda: locks.lock_without_task('image'),
    lambda: locks.lock_without_live_task('image'),
    lambda: history.is_live_task('task'),
    lambda: history.awaits_scrubbing('image'),
    lambda: history.set_stores('image', 'property', 's1'),
    lambda: tasks.newest_copy('image'),
    lambda: tasks.live_copies(),
    lambda: tasks.by_id('task'),
    lambda: tasks.set_attempts('task', 1),
    lambda: tasks.say_waiting('task', 'message'),
    lambda: list(urls.everything()),
    lambda: urls.change(None, 'url', {}),
    lambda: urls.replace('image', 'url', 'other'),
    lambda: urls.record_first('image', 'url', {}),
])
def test_records_are_asked_again_if_the_database_is_locked(monkeypatch, ask):
    locked = [sqlite3.OperationalError('database is locked')]

    def answer():
        raise locked.pop() if locked else AskedAgain

    monkeypatch.setattr(glance.db, 'get_api', answer)
    monkeypatch.setattr(api, 'session_for_read', answer)
    monkeypatch.setattr(api, 'session_for_write', answer)
    with pytest.raises(AskedAgain):
        ask()
