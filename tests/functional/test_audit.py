# SPDX-License-Identifier: Apache-2.0

"""``glance-copy audit`` finds what does not fit, and repairs only its own."""

import concurrent.futures
import os
import pathlib
import uuid

import pytest

from glance_copy_plugin.ownership import journal as journal_
from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import space
from tests.functional import helpers
from tests.functional.auditing import command
from tests.functional.auditing import fix
from tests.functional.auditing import found
from tests.functional.auditing import lock
from tests.functional.auditing import make_old
from tests.functional.auditing import revive_task
from tests.functional.auditing import set_property
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

BY_A_PERSON = 'left alone: only a person can decide what is right'
HELD = 'left alone: a process holds it; restart the service'


@pytest.fixture(scope='module')
def server(start_glance):
    """A server whose stores hold nothing of other tests.

    It looks at its journal once, so that nothing is tidied up meanwhile.
    """
    return start_glance('audit', {'copy_image': {'recovery_interval': 3600}})


@pytest.fixture
def image(server):
    client = Client(server)
    image_id = client.create_image(helpers.data(3000))
    assert client.copy_and_wait(image_id, ['s1'])['status'] == 'success'
    yield client, image_id
    client.delete(image_id)


@pytest.fixture
def journal(server):
    """The journal of the host, as a process of the service sees it."""
    return journal_.Journal(
        str(server.staging / 'copy-image' / 'journal')
    )


def test_the_command_shows_and_repairs_and_tells_by_its_status(server, image):
    _client, image_id = image
    good = server.store_file('s1', image_id)
    content = good.read_bytes()
    good.write_bytes(content[::-1])
    path = server.store_file('s2', image_id)
    path.write_bytes(b'left by a crash')
    status, rows, _text = command(server, '--verify')
    assert (status, path.exists()) == (1, True)
    assert {row['Kind'] for row in rows} == {
        'hash-differs', 'object-without-location',
    }
    good.write_bytes(content)
    status, rows, _text = command(server, '--fix')
    assert (status, path.exists()) == (0, False)
    assert rows == [{
        'Kind': 'object-without-location', 'Store': 's2', 'Image': image_id,
        'Detail': '15 bytes', 'Action': 'removed',
    }]


@pytest.mark.long
def test_the_command_says_1_for_what_it_does_not_repair(server, image):
    _client, image_id = image
    server.store_file('s1', image_id).unlink()
    status, rows, _text = command(server, '--fix')
    assert status == 1
    assert [row['Kind'] for row in rows] == ['location-without-object']


@pytest.mark.long
def test_an_unknown_store_is_refused_in_a_sentence(server):
    status, rows, text = command(server, '--store', 'nowhere')
    assert (status, rows) == (1, [])
    assert 'there is no store nowhere here' in text


def test_an_unfinished_object_is_removed(server, image):
    _client, image_id = image
    path = server.places['s2'] / f'.{image_id}.{uuid.uuid4().hex}.part'
    path.write_bytes(b'unfinished')
    assert found(server) == [('unfinished-object', 's2', image_id)]
    assert fix(server) == ['removed']
    assert not path.exists()


def test_an_object_of_a_deleted_image_is_removed(server, image):
    client, _other = image
    image_id = client.create_image(b'soon gone')
    client.delete(image_id)
    path = server.store_file('s3', image_id)
    path.write_bytes(b'orphan')
    assert found(server) == [('object-without-location', 's3', image_id)]
    assert fix(server) == ['removed']
    assert not path.exists()


def test_what_cannot_be_proved_to_be_ours_is_left_alone(server, image):
    stranger = str(uuid.uuid4())
    path = server.store_file('s2', stranger)
    path.write_bytes(b'of another service')
    other = server.places['s2'] / 'README'
    other.write_text('not an image')
    try:
        assert found(server) == [('object-without-location', 's2', stranger)]
        assert fix(server) == ['left alone: it cannot be proved to be ours']
        assert path.exists()
    finally:
        path.unlink()
        other.unlink()


def test_a_location_without_an_object_is_shown_and_left_alone(server, image):
    _client, image_id = image
    server.store_file('s1', image_id).unlink()
    assert found(server) == [('location-without-object', 's1', image_id)]
    assert fix(server) == [
        'left alone: if another location is right, --repair copies it anew'
    ]
    assert 's1' in helpers.rows(server, image_id)


def test_an_object_of_another_size_is_shown(server, image):
    _client, image_id = image
    with open(server.store_file('s1', image_id), 'ab') as file:
        file.write(b'more')
    assert found(server) == [('size-differs', 's1', image_id)]


def test_a_flipped_byte_is_shown_when_hashes_are_compared(server, image):
    _client, image_id = image
    path = server.store_file('s1', image_id)
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)
    assert found(server) == []
    assert found(server, verify=True) == [('hash-differs', 's1', image_id)]
    assert found(server, verify=True, stores=['s2']) == []


@pytest.mark.parametrize('gone', ['image', 'location'])
def test_what_is_gone_when_its_object_was_read_is_not_news(
    server, source, gone
):
    """It vanishes while the audit reads data that are not the image."""
    client = Client(server)
    image_id = client.create_image(helpers.data(8 * MIB))
    helpers.copy(client, image_id, ['s1'])
    offer = source.offer(helpers.data(8 * MIB), hold_at=4 * MIB)
    helpers.move(server, image_id, 'src', offer.url)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        looking = pool.submit(found, server, verify=True, stores=['web'])
        assert offer.reached.wait(60)
        if gone == 'image':
            client.delete(image_id)
        else:
            server.execute(
                'UPDATE image_locations SET deleted = :yes'
                ' WHERE image_id = :image AND value = :old',
                yes=True, image=image_id, old=offer.url,
            )
        offer.release()
        assert looking.result(timeout=60) == []
    if gone == 'location':
        client.delete(image_id)


def test_a_store_that_does_not_answer_is_shown(server, image):
    _client, image_id = image
    helpers.move(server, image_id, 's1', 'http://joe:sesame@127.0.0.1:1/x')
    (row,) = server.invariants.audit(stores=['web'])
    assert (row['kind'], row['store']) == ('location-not-readable', 'web')
    assert row['image_id'] == image_id
    assert 'sesame' not in row['detail']
    assert fix(server, stores=['web']) == [BY_A_PERSON]


def test_a_store_that_cannot_be_listed_is_shown(server, image):
    _client, image_id = image
    with helpers.replaced_by_file(server.places['s2']):
        server.store_file('s3', image_id).write_bytes(b'left by a crash')
        assert found(server) == [
            ('store-not-readable', 's2', ''),
            ('object-without-location', 's3', image_id),
        ]
    assert fix(server) == ['removed']


def test_two_locations_in_one_store_are_shown(server, image):
    _client, image_id = image
    server.execute(
        'INSERT INTO image_locations (image_id, value, meta_data, status,'
        ' created_at, deleted) SELECT image_id, value, meta_data, status,'
        ' created_at, deleted FROM image_locations'
        ' WHERE image_id = :image AND value = :value',
        image=image_id, value=helpers.rows(server, image_id)['s1'],
    )
    two = ('two-locations-in-store', 's1', image_id)
    assert found(server) == [two]
    assert fix(server) == [BY_A_PERSON]
    # Each of them is told to be without data.
    server.invariants.expect_damage(image_id)
    server.store_file('s1', image_id).unlink()
    missing = ('location-without-object', 's1', image_id)
    assert sorted(found(server)) == [missing, missing, two]


def test_an_image_whose_locations_are_all_gone_is_shown(server, image):
    _client, image_id = image
    server.execute(
        'UPDATE image_locations SET deleted = :yes WHERE image_id = :image',
        yes=True, image=image_id,
    )
    assert found(server, stores=['s3']) == [
        ('image-without-location', '', image_id)
    ]
    assert fix(server, stores=['s3']) == [BY_A_PERSON]
    server.execute(
        'UPDATE image_locations SET deleted = :no WHERE image_id = :image',
        no=False, image=image_id,
    )


def test_a_lock_without_a_task_is_removed(server, image):
    client, image_id = image
    lock(server, image_id, str(uuid.uuid4()))
    assert found(server) == [('stale-lock', '', image_id)]
    assert fix(server) == ['unlocked']
    assert helpers.LOCK not in client.image(image_id)


def test_a_store_that_nobody_copies_to_is_taken_off_the_list(server, image):
    client, image_id = image
    set_property(server, image_id, helpers.IMPORTING, 's2,s3')
    assert found(server) == [('stale-property', '', image_id)]
    assert fix(server) == ['corrected']
    assert client.image(image_id)[helpers.IMPORTING] == ''


def test_a_failed_store_that_has_the_image_is_taken_off_the_list(
    server, image
):
    client, image_id = image
    set_property(server, image_id, helpers.FAILED, 's1,s3')
    assert found(server) == [('stale-property', '', image_id)]
    assert fix(server) == ['corrected']
    assert client.image(image_id)[helpers.FAILED] == 's3'
    assert found(server) == []


@pytest.mark.parametrize('status, fresh, old', [
    ('processing', 50, 70), ('pending', 110, 130),
])
def test_a_task_that_nothing_works_on_is_ended(
    server, image, status, fresh, old
):
    client, image_id = image
    task_id = revive_task(server, image_id, status, fresh)
    lock(server, image_id, task_id)
    set_property(server, image_id, helpers.IMPORTING, 's1')
    assert found(server) == []
    revive_task(server, image_id, status, old)
    assert found(server) == [('stuck-task', '', image_id)]
    assert fix(server) == ['ended as failed, unlocked the image']
    task = helpers.task_of(client, image_id, task_id)
    assert task['status'] == 'failure'
    assert task['message'] == (
        'ended by glance-copy audit: nothing worked on it'
    )
    image = client.image(image_id)
    assert helpers.LOCK not in image
    assert image[helpers.IMPORTING] == ''
    assert found(server, age=0) == []


def test_a_task_of_a_copy_that_waits_to_be_taken_over_is_not_stuck(
    server, image, journal
):
    _client, image_id = image
    entry = journal.claim(image_id, 'req-of-somebody')
    revive_task(server, image_id, 'processing', 600)
    assert found(server) == []
    entry.remove()
    assert found(server) == [('stuck-task', '', image_id)]
    fix(server)


def test_a_journal_entry_of_an_ended_copy_is_removed(server, image, journal):
    """As it stays behind on a host that runs the service no more."""
    _client, image_id = image
    entry = journal.claim(image_id, 'req-of-somebody')
    make_old(entry.path)
    assert found(server) == []
    revive_task(server, image_id, 'success', 61)
    assert found(server) == [('stale-journal-entry', '', image_id)]
    assert fix(server) == [HELD]
    entry.release()
    assert fix(server) == ['removed']
    assert not os.path.exists(entry.path)


def test_a_journal_entry_of_a_copy_that_never_began_is_removed(
    server, journal
):
    client = Client(server)
    image_id = client.create_image(b'never copied')
    entry = journal.claim(image_id, 'req-of-somebody')
    entry.release()
    assert found(server) == []
    make_old(entry.path)
    assert found(server) == [('stale-journal-entry', '', image_id)]
    client.delete(image_id)
    assert found(server) == [('stale-journal-entry', '', image_id)]
    assert fix(server) == ['removed']
    assert found(server, age=0) == []


def test_a_journal_entry_that_was_never_completed_is_removed(server, journal):
    os.makedirs(journal.folder, exist_ok=True)
    draft = pathlib.Path(journal.folder) / '.tmp123'
    draft.write_bytes(b'')
    assert found(server) == []
    make_old(draft)
    assert found(server) == [('staging-leftover', '', '')]
    assert fix(server) == ['removed']
    assert not draft.exists()


def test_what_another_import_method_has_staged_is_removed(server, image):
    client, image_id = image
    importing = client.new_image()
    client.demand(
        'PUT', f'/images/{importing}/stage', data=b'needed',
        headers={'Content-Type': 'application/octet-stream'},
    )
    (server.staging / image_id).write_bytes(b'left by the stock copy-image')
    assert found(server) == [('staging-leftover', '', image_id)]
    assert fix(server) == ['removed']
    assert (server.staging / importing).exists()
    client.delete(importing)


def test_what_a_copy_has_left_in_the_staging_area_is_removed(server, image):
    folder = server.staging / 'copy-image' / str(uuid.uuid4())
    folder.mkdir(parents=True)
    (folder / '7f-000000').write_bytes(b'staged')
    assert found(server) == [('staging-leftover', '', '')]
    assert fix(server) == ['removed']
    assert not folder.exists()


def test_space_that_stays_reserved_for_an_ended_copy_is_freed(server):
    folder = server.staging / 'copy-image' / str(uuid.uuid4())
    # As a process that goes on, and one that has been killed.
    held, left = (
        space.StagingSpace(str(server.staging)).reserve(
            1000, folder=str(folder), cancel=cancel_token.CancelToken(),
            on_wait=pytest.fail,
        ) for _each in range(2)
    )
    assert found(server) == [('staging-leftover', '', '')] * 2
    os.close(left._fd)
    assert sorted(fix(server)) == ['gone already', HELD]
    held.release()
    assert found(server) == []


def test_a_copy_that_runs_is_left_alone(server, source):
    """Its source hands out half of the image and waits for the audit."""
    client = Client(server)
    image_id, held = helpers.held_image(server, client, source)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    assert held.reached.wait(60)
    helpers.wait_until(
        lambda: helpers.staged_files(server), 'a copy under way'
    )
    assert fix(server, age=0) == []
    assert server.invariants.going_on()
    held.release()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    helpers.assert_copied(server, client, image_id, ['s1', 's2'])
    client.delete(image_id)
