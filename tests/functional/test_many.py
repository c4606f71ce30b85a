# SPDX-License-Identifier: Apache-2.0
"""Many copies at once, and a database that is locked."""

import contextlib
import sqlite3
import threading

import pytest
import sqlalchemy as sa

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

IMAGES = 20
TARGETS = ['s1', 's2', 's3']


def begin_all(client, image_ids):
    """Ask for all copies at the same time; return {image id: answer}."""
    answers = {}

    def ask(image_id):
        answers[image_id] = client.as_user(client.token).copy(
            image_id, TARGETS
        )

    threads = [
        threading.Thread(target=ask, args=[image_id]) for image_id in image_ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def states(server):
    """Return ``{image id: state of its newest task}``."""
    found = server.execute(
        'SELECT image_id, status FROM tasks ORDER BY created_at'
    )
    return {row['image_id']: row['status'] for row in found}


@pytest.mark.postgresql
def test_many_copies_at_once_succeed(streaming, databases):
    if databases is None:
        pytest.skip('there is no PostgreSQL (make services)')
    server = streaming
    client = Client(server)
    image_ids = [
        client.create_image(helpers.data(MIB)) for _each in range(IMAGES)
    ]
    answers = begin_all(client, image_ids)
    assert {a.status_code for a in answers.values()} == {202}
    for image_id in image_ids:
        task = client.wait_copy(image_id)
        assert task['status'] == 'success', task['message']
    server.invariants.assert_hold()
    for image_id in image_ids:
        assert set(helpers.rows(server, image_id)) == {'src', *TARGETS}


@pytest.mark.long
def test_every_accepted_copy_succeeds_on_sqlite(start_glance):
    """Glance may refuse, and lose tasks; what it lost is picked up."""
    server = start_glance('many-sqlite', sqlite=True, threads=32)
    client = Client(server)
    image_ids = [
        client.create_image(helpers.data(MIB)) for _each in range(IMAGES)
    ]
    answers = begin_all(client, image_ids)
    accepted = {i for i, a in answers.items() if a.status_code == 202}
    assert accepted
    assert all(
        answers[i].status_code >= 500 for i in image_ids if i not in accepted
    )
    server.invariants.assert_hold(timeout=300)
    found = states(server)
    for image_id in image_ids:
        assert client.image(image_id).get(helpers.FAILED, '') == ''
        if image_id in accepted:
            assert found[image_id] == 'success'
        done = found.get(image_id) == 'success'
        assert set(helpers.rows(server, image_id)) == (
            {'src', *TARGETS} if done else {'src'}
        )


@pytest.fixture(scope='module')
def impatient(start_glance, tmp_path_factory):
    """A server that waits for SQLite for a moment only, and copies slowly."""
    folder = tmp_path_factory.mktemp('database')
    return start_glance(
        'impatient',
        {'copy_image': {
            'bandwidth_limit': 2 * MIB, 'progress_interval': 0.1,
            'max_parallel_stores': 1, 'staging_window': MIB,
        }},
        database_url=f'sqlite:///{folder}/glance.db?timeout=0.1', audit=True,
    )


@contextlib.contextmanager
def exclusive(server):
    """Keep everybody else from the database, as a backup may do."""
    path = sa.make_url(server.database_url).database
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute('BEGIN EXCLUSIVE')
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.long
def test_a_locked_database_does_not_fail_a_copy(impatient):
    """The lock is held when the store has got its last byte."""
    client = Client(impatient)
    image_id = client.create_image(helpers.data(6 * MIB))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    path = impatient.store_file('s1', image_id)
    helpers.wait_until(
        lambda: helpers.left_in(impatient, 's1', image_id),
        'the first copy to begin',
    )
    with exclusive(impatient):
        helpers.wait_until(path.exists, 'the first copy')
        refused = helpers.log_of(impatient).count('was not written')
        helpers.wait_until(
            lambda: helpers.log_of(impatient).count('was not written')
            > refused + 3,
            'some progress that could not be written',
        )
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(impatient, client, image_id)
    helpers.assert_copied(impatient, client, image_id, ['s1', 's2'])
    assert 'database is locked' in helpers.log_of(impatient)
