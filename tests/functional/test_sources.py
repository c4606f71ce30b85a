# SPDX-License-Identifier: Apache-2.0
"""Sources that are damaged: wrong bytes never become a copy."""

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional


def spoil(server, store, image_id, damage):
    """Damage an image's object; that is no finding of an audit."""
    server.invariants.expect_damage(image_id)
    damage(server.store_file(store, image_id))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b'')


def lengthen(path):
    path.write_bytes(path.read_bytes() + b'x')


def remove(path):
    path.unlink()


DAMAGES = [flip, truncate, empty, lengthen, remove]
# What the reason says, where it is the copy itself that finds it.
REASONS = {
    flip: 'sha512', truncate: f'ends at byte {3 * MIB}',
    empty: 'ends at byte 0', lengthen: 'holds more than',
    remove: 'source store src: ',
}


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda d: d.__name__)
def test_the_next_good_location_is_used(either, damage):
    client = Client(either)
    image_id = client.create_image(helpers.data(3 * MIB + 1))
    helpers.copy(client, image_id, ['s1'])
    spoil(either, 'src', image_id, damage)
    task = helpers.copy(client, image_id, ['s2', 's3'])
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, ['s1', 's2', 's3'])
    assert sorted(helpers.rows(either, image_id)) == ['s1', 's2', 's3', 'src']


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda d: d.__name__)
def test_without_a_good_location_the_copy_fails(either, damage):
    client = Client(either)
    image_id = client.create_image(helpers.data(3 * MIB + 1))
    spoil(either, 'src', image_id, damage)
    task = helpers.copy(
        client, image_id, ['s2', 's3'], all_stores_must_succeed=False
    )
    assert task['status'] == 'failure'
    assert 'source store src: ' in task['message']
    assert REASONS[damage] in task['message']
    assert 'Internal Error' not in task['message']
    image = client.wait_unlocked(image_id)
    failed = helpers.named(image, helpers.FAILED)
    assert failed == {'s2', 's3'}
    helpers.assert_unlocked(either, client, image_id, failed=failed)
    helpers.assert_untouched(either, image_id, ['s2', 's3'])
    assert list(helpers.rows(either, image_id)) == ['src']


def test_all_damaged_locations_are_named(either):
    client = Client(either)
    image_id = client.create_image(helpers.data(MIB))
    helpers.copy(client, image_id, ['s1'])
    spoil(either, 'src', image_id, flip)
    spoil(either, 's1', image_id, truncate)
    task = helpers.copy(client, image_id, ['s2'])
    assert task['status'] == 'failure'
    assert 'src: ' in task['message']
    assert 's1: ' in task['message']
    helpers.assert_unlocked(either, client, image_id, failed=['s2'])
    helpers.assert_untouched(either, image_id, ['s2'])


def two_locations(server, source, **offered):
    """An image on an HTTP server, read first, and in ``s1``."""
    client = Client(server)
    content = helpers.data(12 * MIB)
    image_id = client.create_image(content)
    helpers.copy(client, image_id, ['s1'])
    offer = source.offer(offered.pop('content', content), **offered)
    helpers.move(server, image_id, 'src', offer.url)
    return client, image_id, offer


def test_a_source_that_breaks_off_is_continued_elsewhere(either, source):
    """The other location is only good behind that place."""
    client, image_id, offer = two_locations(either, source, cut_at=9 * MIB)
    either.invariants.expect_damage(image_id)
    with either.store_file('s1', image_id).open('r+b') as stream:
        stream.write(bytes(MIB))
    task = helpers.copy(client, image_id, ['s2', 's3'])
    assert offer.asked.is_set()
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, ['s2', 's3'])


def test_a_remote_source_with_wrong_bytes_is_left(either, source):
    client, image_id, offer = two_locations(
        either, source, content=helpers.data(12 * MIB)
    )
    task = helpers.copy(client, image_id, ['s2', 's3'])
    assert offer.asked.is_set()
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, ['s2', 's3'])


def test_wrong_bytes_do_not_reach_a_store_before_they_are_noticed(
    either, source
):
    """All of the right size was handed out, and only the hash is wrong."""
    client = Client(either)
    image_id = client.create_image(helpers.data(12 * MIB))
    offer = source.offer(helpers.data(12 * MIB))
    helpers.move(either, image_id, 'src', offer.url)
    task = helpers.copy(client, image_id, ['s2', 's3'])
    assert task['status'] == 'failure'
    assert 'source store web: ' in task['message']
    assert 'sha512' in task['message']
    helpers.assert_unlocked(either, client, image_id, failed=['s2', 's3'])
    helpers.assert_untouched(either, image_id, ['s2', 's3'])


@pytest.mark.parametrize('credentials', ['', 'joe:sesame@'])
def test_a_source_that_refuses_is_reported_without_credentials(
    glance, client, source, credentials
):
    image_id = client.create_image(helpers.data(MIB))
    echo = b'no access to http://joe:sesame@127.0.0.1/image'
    offer = source.offer(echo, status=500, credentials=credentials)
    helpers.move(glance, image_id, 'src', offer.url)
    task = helpers.copy(client, image_id, ['s2'])
    assert task['status'] == 'failure'
    assert 'source store web: ' in task['message']
    assert '500' in task['message']
    assert 'Internal Error' not in task['message']
    assert 'sesame' not in task['message']
    helpers.assert_unlocked(glance, client, image_id, failed=['s2'])
    log = helpers.log_of(glance)
    assert image_id in log
    assert 'sesame' not in log


def test_a_source_that_is_not_there_is_reported_without_credentials(
    glance, client
):
    image_id = client.create_image(helpers.data(MIB))
    helpers.move(
        glance, image_id, 'src', 'http://joe:sesame@127.0.0.1:1/image'
    )
    task = helpers.copy(client, image_id, ['s2'])
    assert task['status'] == 'failure'
    assert 'source store web: ' in task['message']
    assert 'sesame' not in task['message']
    assert 'sesame' not in helpers.log_of(glance)


def test_an_image_without_a_hash_is_checked_by_its_checksum(glance, client):
    image_id = client.create_image(helpers.data(MIB))
    glance.execute(
        'UPDATE images SET os_hash_algo = NULL, os_hash_value = NULL '
        'WHERE id = :id', id=image_id,
    )
    content = glance.store_file('src', image_id).read_bytes()
    spoil(glance, 'src', image_id, flip)
    task = helpers.copy(client, image_id, ['s1'])
    assert task['status'] == 'failure'
    assert 'md5' in task['message']
    helpers.assert_untouched(glance, image_id, ['s1'])
    spoil(glance, 'src', image_id, flip)
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    assert glance.store_file('s1', image_id).read_bytes() == content
