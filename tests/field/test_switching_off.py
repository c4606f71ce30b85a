# SPDX-License-Identifier: Apache-2.0

"""What was stranded when the plugin was switched off."""

import pytest

from tests.functional import helpers
from tests.harness import Client
from tests.parts import starting
from tests.parts import threads

pytestmark = pytest.mark.functional


@pytest.fixture(scope='module')
def switched(start_glance):
    """A server that the filter is put into and taken out of."""
    return start_glance(
        'switched', {'copy_image': {'copiers': ''}}, audit=True
    )


@pytest.fixture
def server(switched):
    """The same, which has the filter and accepts copies, also afterwards."""
    yield switched
    switched.plugin = True
    assert starting.glance_copy('drain --undo', switched.conf.parent)[0] == 0
    switched.restart()


@pytest.fixture
def drain(server):
    """Return a function that drains the server and returns what was said."""
    def run(options=''):
        status, said = starting.glance_copy(
            f'drain {options}', server.conf.parent
        )
        assert status == 0, said
        assert 'Traceback' not in said
        return said

    return run


@pytest.fixture
def copied(server, source):
    """An image, its source, and the task of its copy, which is half-way."""
    client = Client(server)
    image_id, offer = helpers.held_image(server, client, source)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    assert offer.reached.wait(60)
    return image_id, offer, task_id


def switch_off(server, how):
    """Start the server without the filter after it was stopped or killed."""
    getattr(server, how)()
    server.plugin = False
    server.start()


@pytest.mark.parametrize('how', ['stop', 'kill'])
def test_an_image_stayed_locked_when_the_filter_was_taken_out_in_mid_copy(
    server, drain, copied, how
):
    image_id, offer, task_id = copied
    switch_off(server, how)
    client = Client(server)
    assert client.copy(image_id, ['s3']).status_code == 409
    offer.release()
    said = drain()
    assert f'Carrying on with the copy of image {image_id}' in said
    assert helpers.status(server, task_id) == 'success'
    helpers.assert_unlocked(server, client, image_id)
    helpers.assert_copied(server, client, image_id, ['s1', 's2'])
    # By Glance's own copy-image.
    assert helpers.copy(client, image_id, ['s3'])['status'] == 'success'


def test_half_a_copy_could_not_be_taken_back_when_the_filter_was_out(
    server, drain, copied
):
    image_id, offer, task_id = copied
    switch_off(server, 'stop')
    drain('--take-back')
    client = Client(server)
    assert helpers.status(server, task_id) == 'failure'
    assert 'glance-copy drain' in helpers.message(server, task_id)
    helpers.assert_unlocked(server, client, image_id)
    helpers.assert_untouched(server, image_id, ['s1', 's2'])
    offer.release()


def test_new_copies_began_while_the_last_ones_were_waited_for(
    server, drain, copied
):
    image_id, offer, task_id = copied
    client = Client(server)
    other = client.create_image(b'other')
    closed = server.staging / 'copy-image' / 'journal' / 'closed'
    draining = threads.Running(drain)
    helpers.wait_until(closed.exists, 'the closed door')
    answer = client.copy(other, ['s1'])
    assert answer.status_code == 503
    assert 'Copies are not accepted now' in answer.text
    assert client.copy_task(other) is None
    offer.release()
    said = draining.result()
    assert 'No copy is left on this host' in said
    assert helpers.status(server, task_id) == 'success'
    status, said = starting.check(server.conf.parent)
    assert (status, 'glance-copy drain --undo' in said) == (1, True), said
    assert 'accepted again' in drain('--undo')
    assert helpers.copy(client, other, ['s1'])['status'] == 'success'


def test_copies_that_ran_could_not_be_taken_back(server, drain, copied):
    image_id, offer, task_id = copied
    drain('--take-back')
    client = Client(server)
    assert helpers.status(server, task_id) == 'failure'
    helpers.assert_unlocked(server, client, image_id)
    helpers.assert_untouched(server, image_id, ['s1', 's2'])
    offer.release()
