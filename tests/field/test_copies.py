# SPDX-License-Identifier: Apache-2.0

"""Copies that went wrong for users."""

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional


def test_an_image_could_not_be_copied_as_its_first_store_was_not_on_the_node(
    streaming
):
    """Another store of the image is."""
    client = Client(streaming)
    image_id = client.create_image(helpers.data(MIB))
    helpers.copy(client, image_id, ['s1'])
    move_far_away(streaming, image_id)
    task = helpers.copy(client, image_id, ['s2'])
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(streaming, client, image_id)
    helpers.assert_copied(streaming, client, image_id, ['s1', 's2'])


def test_an_image_that_is_in_no_store_of_the_node_stayed_locked(streaming):
    client = Client(streaming)
    image_id = client.create_image(b'x')
    move_far_away(streaming, image_id)
    task = helpers.copy(client, image_id, ['s1'])
    assert task['status'] == 'failure'
    assert 'no location' in task['message']
    helpers.assert_unlocked(streaming, client, image_id, failed=['s1'])
    helpers.assert_untouched(streaming, image_id, ['s1'])


def move_far_away(server, image_id):
    """Say that what is in ``src`` is in a store of another node."""
    path = server.store_file('src', image_id)
    server.execute(
        'UPDATE image_locations SET value = :value, meta_data = :new '
        'WHERE image_id = :id AND value = :old',
        id=image_id, old=f'file://{path}', value='file:///far-away/image',
        new='{"store": "far-away"}',
    )
    path.unlink()


def test_an_image_deleted_during_its_copy_left_its_data_in_a_store(
    streaming, source
):
    client = Client(streaming)
    image_id, offer = helpers.held_image(streaming, client, source)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    assert offer.reached.wait(60)
    client.delete(image_id)
    offer.release()
    helpers.wait_ended(streaming, task_id)
    assert helpers.status(streaming, task_id) == 'failure'
    assert 'deleted' in helpers.message(streaming, task_id)
    assert helpers.staged_files(streaming) == []
    helpers.assert_untouched(streaming, image_id, ['s1', 's2'])


def test_an_image_deleted_during_its_copy_stayed_in_a_store_that_was_done(
    slow
):
    client = Client(slow)
    image_id = client.create_image(helpers.data(8 * MIB))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    helpers.wait_until(
        lambda: 's1' in helpers.rows(slow, image_id), 'the first store'
    )
    client.delete(image_id)
    helpers.wait_ended(slow, task_id)
    assert helpers.status(slow, task_id) == 'failure'
    assert 'deleted' in helpers.message(slow, task_id)
    assert helpers.staged_files(slow) == []
    helpers.assert_untouched(slow, image_id, ['src', 's1', 's2'])
