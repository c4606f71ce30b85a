# SPDX-License-Identifier: Apache-2.0

"""A Glance that fails when it locks the image that is to be copied.

With MariaDB it does that by itself: tests/cloud/test_glance.py.
"""

import concurrent.futures
import contextlib

import pytest

from tests.functional import helpers
from tests.functional import jobboard
from tests.functional import replicating
from tests.harness import Client
from tests.harness import worker as worker_
from tests.parts import boards

# The database takes no row of that name in that table any more.
BROKEN = """
CREATE TRIGGER {table}_broken BEFORE INSERT ON {table}
WHEN NEW.{column} = '{value}'
BEGIN SELECT RAISE(ABORT, 'the database takes no such row'); END
""".strip()
# So often a request is handed on again at most.
TIMES = 7
AGAIN = 'Glance failed before it had begun the copy of image'


@pytest.fixture(scope='module')
def alone(start_glance):
    """A Glance that makes its copies itself."""
    return start_glance('asked-alone', sqlite=True, audit=True)


@pytest.fixture(scope='module')
def with_workers(make_glance, tmp_path_factory):
    """A Glance whose copies workers make."""
    with boards.started('redis', tmp_path_factory.mktemp('redis')) as board:
        settings = jobboard.settings(board)
        with make_glance('asked-again', settings, sqlite=True) as made:
            yield made
            made.invariants.assert_hold()


@pytest.fixture(params=[
    'alone', pytest.param('with_workers', marks=pytest.mark.long),
])
def server(request):
    """Either of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def client(server):
    return Client(server)


@contextlib.contextmanager
def broken(server, table, column, value):
    """Have the database refuse certain rows; yield what mends that."""
    with contextlib.ExitStack() as stack:
        server.execute(
            BROKEN.format(table=table, column=column, value=value)
        )
        stack.callback(server.execute, f'DROP TRIGGER {table}_broken')
        yield stack.close


def working(server):
    """Have a worker make the copies, if the service does not."""
    if 'jobboard_connection' not in server.conf.read_text():
        return contextlib.nullcontext()
    return worker_.Worker(server, 'host-a')


def no_lock(server):
    """Have no image be locked any more."""
    return broken(server, 'image_properties', 'name', helpers.LOCK)


def count(server, image_id):
    """Return how often Glance was asked again to copy an image."""
    return server.log.read_text().count(f'{AGAIN} {image_id}')


def test_what_failed_before_it_had_begun_begins_when_glance_can(
    server, client
):
    image_id = client.create_image(helpers.data())
    with (
        no_lock(server) as mend,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(client.copy, image_id, ['s1'])
        helpers.wait_until(lambda: count(server, image_id), 'another try')
        mend()
    assert answer.result().status_code == 202, answer.result().text
    with working(server):
        assert client.wait_copy(image_id)['status'] == 'success'
    assert len(server.tasks(image_id)) == 1
    assert set(helpers.rows(server, image_id)) == {'src', 's1'}


def test_what_never_begins_is_a_500_and_can_be_asked_for_at_once(
    server, client
):
    image_id = client.create_image(helpers.data())
    with no_lock(server):
        answer = client.copy(image_id, ['s1'])
    assert answer.status_code == 500, answer.text
    assert server.tasks(image_id) == []
    assert helpers.LOCK not in client.image(image_id)
    answer = client.copy(image_id, ['s1'])
    assert answer.status_code == 202, answer.text
    with working(server):
        assert client.wait_copy(image_id)['status'] == 'success'


def test_a_copy_that_may_have_begun_is_not_asked_for_again(server, client):
    """Its lock is there, but its task could not be written."""
    image_id = client.create_image(helpers.data())
    with broken(server, 'tasks', 'type', 'api_image_import'):
        answer = client.copy(image_id, ['s1'])
    assert answer.status_code == 500, answer.text
    assert count(server, image_id) == 0
    client.wait_unlocked(image_id)
    assert set(helpers.rows(server, image_id)) == {'src'}


def test_the_replicator_asks_again_too(server, client):
    image_id = client.create_image(helpers.data())
    with no_lock(server) as mend, working(server):
        running = replicating.start(
            'fill', 's1', '--id', image_id, '--server', server.url,
            '--token', replicating.ADMIN,
        )
        helpers.wait_until(
            lambda: count(server, image_id) > TIMES, 'another request'
        )
        mend()
        done = replicating.finish(running)
    assert done.by_image() == {image_id: 'copied'}, done
