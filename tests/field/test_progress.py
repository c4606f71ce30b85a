# SPDX-License-Identifier: Apache-2.0

"""Messages of tasks that did not tell what was going on."""

import shutil

import pytest

from glance_copy_plugin.transfer import progress
from tests.functional import helpers
from tests.functional import jobboard
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import worker as worker_
from tests.parts import starting

pytestmark = pytest.mark.functional


def said(server, task_id):
    return helpers.message(server, task_id) or ''


def messages(server, task_id):
    """Return what a task says until it ends."""
    seen = []

    def ended():
        seen.append(said(server, task_id))
        return helpers.status(server, task_id) in ('success', 'failure')

    helpers.wait_until(ended, f'the end of task {task_id}')
    return list(dict.fromkeys(seen))


def test_an_image_was_said_to_be_staged_that_was_read_where_it_is(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(8 * MIB))
    task_id = helpers.start(client, image_id, ['s1'])
    seen = messages(slow, task_id)
    assert any(', read ' in message for message in seen), seen
    assert not any('staged' in message for message in seen), seen


@pytest.fixture(scope='module')
def own(start_glance):
    """A server that is stopped and killed, with nothing beside the driver."""
    return start_glance(
        'interrupted', {'copy_image': {'copiers': ''}}, audit=True
    )


@pytest.mark.parametrize('end', ['stop', 'kill'])
def test_nobody_could_tell_an_interrupted_copy_from_one_that_hangs(
    own, source, end
):
    client = Client(own)
    image_id, offer = helpers.held_image(own, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    assert offer.reached.wait(60)
    getattr(own, end)()
    if end == 'stop':
        assert said(own, task_id).startswith('suspended: ')
    else:
        # It was killed before it could say anything.
        own.execute(
            'UPDATE task_info SET message = NULL WHERE task_id = :task',
            task=task_id,
        )
    own.start()
    helpers.wait_until(
        lambda: (progress.parse(said(own, task_id)) or {}).get('taken_over'),
        'a message that says who goes on',
    )
    offer.release()
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']


@pytest.mark.skipif(
    shutil.which('redis-server') is None, reason='redis is not installed'
)
def test_a_copy_waited_in_silence_as_no_worker_ran(
    start_glance, board
):
    server = start_glance(
        'no-worker', jobboard.settings(board, recovery_interval=0.5),
        audit=True,
    )
    client = Client(server)
    image_id = client.create_image(helpers.data(MIB))
    assert client.copy(image_id, ['s1']).status_code == 202
    (task,) = server.tasks(image_id)
    helpers.wait_until(
        lambda: 'no worker runs' in said(server, task['id']),
        'a message that says what is missing',
    )
    # Nor could anybody wait for its end without being told.
    status, said_ = starting.glance_copy('drain', server.conf.parent)
    assert (status, 'no worker runs' in said_) == (1, True), said_
    with worker_.Worker(server, 'host-a'):
        helpers.wait_until(lambda: jobboard.announced(board), 'a worker')
        status, said_ = starting.glance_copy('drain', server.conf.parent)
    assert status == 0, said_
    assert helpers.status(server, task['id']) == 'success'
