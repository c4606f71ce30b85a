# SPDX-License-Identifier: Apache-2.0
"""What users do to an image while it is copied stays done."""

import pytest

from glance_copy_plugin.transfer import progress
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

TARGETS = ['s1', 's2', 's3']
# Takes four seconds for each store: time enough for what is done meanwhile.
LARGE = 8 * MIB


@pytest.fixture
def held(streaming, source):
    """A copy to three stores that waits half-way for ``release()``."""
    client = Client(streaming)
    image_id, offer = helpers.held_image(
        streaming, client, source, kept='old', dropped='old', tags=['first'],
    )
    task_id = helpers.start(client, image_id, TARGETS)
    assert offer.reached.wait(60)
    return client, image_id, task_id, offer


def assert_well(server, client, image_id, task_id, stores=TARGETS):
    """Check that the copy ended well."""
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    image = helpers.assert_unlocked(server, client, image_id)
    helpers.assert_copied(server, client, image_id, stores)
    return image


CHANGES = {
    'kept': 'new', 'added': 'new', 'name': 'another', 'visibility': 'public',
    'protected': True, 'tags': ['second', 'third'], 'min_ram': 7,
    'os_hidden': True,
}


def test_changes_are_kept(streaming, held):
    client, image_id, task_id, offer = held
    known = client.image(image_id)
    client.patch(image_id, *(
        {
            'op': 'replace' if name in known else 'add',
            'path': f'/{name}', 'value': value,
        }
        for name, value in CHANGES.items()
    ), {'op': 'remove', 'path': '/dropped'})
    # Only allowed for an image without data: done by the database.
    streaming.execute(
        "UPDATE images SET disk_format = 'iso' WHERE id = :id", id=image_id
    )
    offer.release()
    image = assert_well(streaming, client, image_id, task_id)
    image['tags'].sort()
    assert {name: image[name] for name in CHANGES} == CHANGES
    assert image['disk_format'] == 'iso'
    assert 'dropped' not in image
    client.patch(
        image_id, {'op': 'replace', 'path': '/protected', 'value': False}
    )


def test_a_tag_and_a_member_are_kept(streaming, held):
    client, image_id, task_id, offer = held
    client.demand('PUT', f'/images/{image_id}/tags/new')
    client.demand('DELETE', f'/images/{image_id}/tags/first')
    client.demand(
        'POST', f'/images/{image_id}/members', json={'member': 'demo'}
    )
    offer.release()
    image = assert_well(streaming, client, image_id, task_id)
    assert image['tags'] == ['new']
    members = client.demand('GET', f'/images/{image_id}/members').json()
    assert [m['member_id'] for m in members['members']] == ['demo']


def test_the_lock_is_marked_and_not_removed(streaming, held):
    """Glance deletes an image only half if a property is gone by then."""
    client, image_id, task_id, offer = held
    offer.release()
    assert_well(streaming, client, image_id, task_id)
    assert streaming.execute(
        'SELECT value, deleted FROM image_properties '
        'WHERE image_id = :id AND name = :name',
        id=image_id, name=helpers.LOCK,
    ) == [{'value': task_id, 'deleted': True}]
    assert helpers.copy(client, image_id, ['src'])['status'] == 'success'


def test_only_its_own_records_are_written(streaming, held):
    client, image_id, task_id, offer = held
    before = client.image(image_id)
    offer.release()
    after = assert_well(streaming, client, image_id, task_id)
    written = {helpers.IMPORTING, helpers.LOCK, 'updated_at', 'stores'}
    for name in before.keys() | after.keys():
        if name not in written:
            assert before.get(name) == after.get(name), name


def test_a_location_that_was_removed_does_not_come_back(streaming, source):
    client = Client(streaming)
    content = helpers.data(helpers.HELD_SIZE)
    image_id = client.create_image(content)
    helpers.copy(client, image_id, ['s3'])
    offer = source.offer(content, hold_at=6 * MIB)
    helpers.move(streaming, image_id, 'src', offer.url)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    assert offer.reached.wait(60)
    client.delete(image_id, 's3')
    offer.release()
    assert_well(streaming, client, image_id, task_id, ['s1', 's2'])
    assert client.stores(image_id) == ['s1', 's2', 'web']
    assert helpers.left_in(streaming, 's3', image_id) == []


def test_the_source_can_be_removed_while_it_is_read(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(LARGE))
    helpers.copy(client, image_id, ['s3'])
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    helpers.wait_until(
        lambda: (progress.parse(helpers.task_of(
            client, image_id, task_id)['message']) or {}).get('read'),
        'reading to begin',
    )
    client.delete(image_id, 'src')
    assert_well(slow, client, image_id, task_id, ['s1', 's2', 's3'])
    assert client.stores(image_id) == ['s1', 's2', 's3']
    assert helpers.left_in(slow, 'src', image_id) == []


def first_store_done(server, client, image_id):
    """Wait until the first of several stores is recorded; return it."""
    return helpers.wait_until(
        lambda: set(helpers.rows(server, image_id)) - {'src'},
        'the first store',
    ).pop()


def test_a_location_dropped_by_a_stale_save_is_recorded_again(slow):
    """Glance's own save of an older record rewrites the locations."""
    client = Client(slow)
    image_id = client.create_image(helpers.data(LARGE))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    store = first_store_done(slow, client, image_id)
    slow.execute(
        'DELETE FROM image_locations WHERE image_id = :id AND value = :value',
        id=image_id, value=helpers.rows(slow, image_id)[store],
    )
    assert store not in client.stores(image_id)
    assert_well(slow, client, image_id, task_id, ['s1', 's2'])
    assert client.stores(image_id) == ['s1', 's2', 'src']


def test_a_new_copy_that_a_user_removes_at_once_stays_removed(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(LARGE))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    store = first_store_done(slow, client, image_id)
    client.delete(image_id, store)
    (other,) = {'s1', 's2'} - {store}
    assert_well(slow, client, image_id, task_id, [other])
    assert client.stores(image_id) == [other, 'src']
    assert helpers.left_in(slow, store, image_id) == []


def test_deactivation_stops_a_copy_whose_source_does_not_answer(
    streaming, held
):
    client, image_id, task_id, _offer = held
    client.demand('POST', f'/images/{image_id}/actions/deactivate')
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'failure'
    assert 'deactivated' in task['message']
    image = client.wait_unlocked(image_id)
    assert image['status'] == 'deactivated'
    assert image[helpers.IMPORTING] == ''
    assert image[helpers.FAILED] == ''
    assert helpers.staged_files(streaming) == []
    helpers.assert_untouched(streaming, image_id, TARGETS)
    client.demand('POST', f'/images/{image_id}/actions/reactivate')
    assert client.image(image_id)['status'] == 'active'


def test_deactivation_takes_back_what_was_copied_already(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(LARGE))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    first_store_done(slow, client, image_id)
    client.demand('POST', f'/images/{image_id}/actions/deactivate')
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'failure'
    assert 'deactivated' in task['message']
    assert client.wait_unlocked(image_id)['status'] == 'deactivated'
    helpers.assert_untouched(slow, image_id, ['s1', 's2'])
    assert list(helpers.rows(slow, image_id)) == ['src']
    assert slow.store_file('src', image_id).exists()


def test_a_failing_copy_does_not_take_back_the_only_data_that_is_left(slow):
    """The user removed the original when there was a copy of it."""
    client = Client(slow)
    content = helpers.data(LARGE)
    image_id = client.create_image(content)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    store = first_store_done(slow, client, image_id)
    client.delete(image_id, 'src')
    client.demand('POST', f'/images/{image_id}/actions/deactivate')
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'failure'
    slow.invariants.assert_hold()
    client.demand('POST', f'/images/{image_id}/actions/reactivate')
    assert client.stores(image_id) == [store]
    assert client.download(image_id) == content


def test_an_image_that_is_half_deleted_is_gone_for_a_copy(streaming, held):
    """Glance deletes in two steps, the first of which takes the lock away."""
    _client, image_id, task_id, _offer = held
    streaming.execute(
        "UPDATE images SET status = 'deleted' WHERE id = :id", id=image_id
    )
    streaming.execute(
        'UPDATE image_properties SET deleted = :yes WHERE image_id = :id',
        yes=True, id=image_id,
    )
    helpers.wait_ended(streaming, task_id)
    assert 'deleted' in helpers.message(streaming, task_id)
    helpers.assert_untouched(streaming, image_id, TARGETS)
    streaming.execute(
        'UPDATE images SET deleted = :yes WHERE id = :id', yes=True,
        id=image_id,
    )


def test_deletion_stops_a_copy_whose_source_does_not_answer(streaming, held):
    client, image_id, task_id, _offer = held
    client.delete(image_id)
    helpers.wait_ended(streaming, task_id)
    assert helpers.status(streaming, task_id) == 'failure'
    assert 'deleted' in helpers.message(streaming, task_id)
    assert helpers.staged_files(streaming) == []
    helpers.assert_untouched(streaming, image_id, TARGETS)


def test_a_lock_that_was_taken_away_stops_the_copy(streaming, held):
    client, image_id, task_id, offer = held
    streaming.execute(
        'UPDATE image_properties SET value = :other '
        'WHERE image_id = :id AND name = :name',
        other='another-task', id=image_id, name=helpers.LOCK,
    )
    offer.release()
    helpers.wait_ended(streaming, task_id)
    assert helpers.status(streaming, task_id) == 'failure'
    assert 'locked for another task' in helpers.message(streaming, task_id)
    assert client.image(image_id)[helpers.LOCK] == 'another-task'
    assert helpers.staged_files(streaming) == []
    helpers.assert_untouched(streaming, image_id, TARGETS)
    helpers.drop(streaming, image_id, task_id)


def test_a_task_that_somebody_ended_stops_the_copy(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(LARGE))
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    first_store_done(slow, client, image_id)
    slow.execute(
        "UPDATE tasks SET status = 'failure' WHERE id = :id", id=task_id
    )
    helpers.assert_unlocked(slow, client, image_id)
    helpers.assert_untouched(slow, image_id, ['s1', 's2'])
