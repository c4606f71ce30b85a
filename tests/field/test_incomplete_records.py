# SPDX-License-Identifier: Apache-2.0

"""Images without what today's API always writes."""

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

DIGESTS = ('checksum', 'os_hash_algo', 'os_hash_value')


def told(server, image_id):
    """Return what an image's record says of its bytes."""
    (row,) = server.execute(
        'SELECT size, checksum, os_hash_algo, os_hash_value FROM images '
        'WHERE id = :id', id=image_id,
    )
    return dict(row)


def forget(server, image_id, *columns):
    """Let the record not say some of it; return what it said."""
    before = told(server, image_id)
    changes = ', '.join(f'{column} = NULL' for column in columns)
    statement = f'UPDATE images SET {changes} WHERE id = :id'  # noqa: S608
    server.execute(statement, id=image_id)
    return before


@pytest.mark.parametrize('lost', [
    DIGESTS, ('checksum',), ('size',), ('size', *DIGESTS),
], ids='-'.join)
def test_what_a_record_lacked_was_still_not_known_after_a_copy(either, lost):
    """Glance's own copy-image writes it, as it has read every byte."""
    client = Client(either)
    image_id = client.create_image(helpers.data(MIB))
    before = forget(either, image_id, *lost)
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'success', task['message']
    assert told(either, image_id) == before
    helpers.assert_copied(either, client, image_id, ['src', 's1', 's2'])


def test_the_hash_of_an_image_was_lost_to_a_change_during_its_copy(slow):
    client = Client(slow)
    image_id = client.create_image(helpers.data(4 * MIB))
    before = forget(slow, image_id, *DIGESTS)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    helpers.wait_until(
        lambda: 's1' in helpers.rows(slow, image_id), 'the first store'
    )
    assert told(slow, image_id) == before
    # As a request does that had read the image before, and is late.
    forget(slow, image_id, *DIGESTS)
    task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'success', task['message']
    assert told(slow, image_id) == before


def test_an_empty_image_of_unknown_size_stayed_so(either):
    client = Client(either)
    image_id = client.create_image(b'')
    before = forget(either, image_id, 'size', *DIGESTS)
    task = helpers.copy(client, image_id, ['s1'])
    assert task['status'] == 'success', task['message']
    assert told(either, image_id) == before


@pytest.mark.parametrize('damage', [
    lambda content: content[:-1000], lambda content: content + b'more',
], ids=['shorter', 'longer'])
def test_an_image_of_unknown_size_was_copied_from_a_damaged_store(
    streaming, damage
):
    """Which of its objects is the image is known by the hash."""
    client = Client(streaming)
    image_id = client.create_image(helpers.data(MIB))
    helpers.copy(client, image_id, ['s1'])
    before = forget(streaming, image_id, 'size', 'checksum')
    path = streaming.store_file('src', image_id)
    good = path.read_bytes()
    path.write_bytes(damage(good))
    task = helpers.copy(client, image_id, ['s2'])
    assert task['status'] == 'success', task['message']
    assert told(streaming, image_id) == before
    assert streaming.store_file('s2', image_id).read_bytes() == good
    path.write_bytes(good)


def test_a_copy_of_an_image_of_unknown_size_that_is_gone_gave_no_reason(
    streaming
):
    client = Client(streaming)
    image_id = client.create_image(helpers.data(MIB))
    forget(streaming, image_id, 'size')
    path = streaming.store_file('src', image_id)
    aside = path.rename(path.with_name('aside'))
    task = helpers.copy(client, image_id, ['s1'])
    aside.rename(path)
    assert task['status'] == 'failure'
    assert 'source store src: cannot be read' in task['message']
    helpers.assert_unlocked(streaming, client, image_id, failed=['s1'])
    helpers.assert_untouched(streaming, image_id, ['s1'])
    client.delete(image_id)
