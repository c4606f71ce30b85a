# SPDX-License-Identifier: Apache-2.0

"""What was lost, or stayed locked, when nobody looked after it."""

import os
import signal
import uuid

import pytest

from glance_copy_plugin.ownership import journal as journal_
from tests.functional import auditing
from tests.functional import helpers
from tests.functional.auditing import fix
from tests.functional.auditing import found
from tests.harness import Client
from tests.harness import moments

pytestmark = pytest.mark.functional

MOVED = 'object-at-another-place'
# What an operator reads who is to decide.
NOT_YET = 'left alone: if it is the image, --correct-locations records it'
LAST = 'left alone: it may be the last data of the image: '


@pytest.fixture(scope='module')
def server(start_glance):
    """It writes through the drivers, which refuse what is there already."""
    return start_glance('audits', {'copy_image': {'copiers': ''}})


@pytest.fixture
def image(server):
    """An image in the stores src and s1."""
    client = Client(server)
    image_id = client.create_image(helpers.data(3000))
    helpers.copy(client, image_id, ['s1'])
    yield image_id
    server.invariants.assert_hold()
    client.delete(image_id)


def name_old_folder(server, image_id, *stores):
    """Let locations say what they did before the stores were moved."""
    for store in stores:
        path = server.store_file(store, image_id)
        server.execute(
            'UPDATE image_locations SET value = :old'
            ' WHERE image_id = :image AND value = :now',
            old=f'file:///before{path}', now=f'file://{path}', image=image_id,
        )


def drop_locations(server, image_id, but=''):
    server.execute(
        'UPDATE image_locations SET deleted = :yes'
        ' WHERE image_id = :image AND value != :but',
        yes=True, image=image_id, but=but,
    )


def flip(path):
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)


def test_all_objects_were_deleted_after_a_store_had_been_moved(server, image):
    name_old_folder(server, image, 'src', 's1')
    assert sorted(found(server)) == [
        (MOVED, 's1', image), (MOVED, 'src', image),
    ]
    (row, _other) = server.invariants.audit()
    assert 'glance-copy audit --store s' in row['detail']
    assert fix(server) == [NOT_YET] * 2
    assert fix(server, 'correct-locations') == ['location corrected'] * 2
    for store in ('src', 's1'):
        path = server.store_file(store, image)
        assert helpers.rows(server, image)[store] == f'file://{path}'


def test_a_moved_object_that_is_not_the_image_became_a_location(server, image):
    name_old_folder(server, image, 's1')
    path = server.store_file('s1', image)
    flip(path)
    (said,) = fix(server, 'correct-locations')
    assert said == 'left alone: the object is not the image: another sha512'
    flip(path)
    assert fix(server, 'correct-locations') == ['location corrected']


def test_the_last_good_object_was_deleted_as_its_location_was_lost(
    server, image,
):
    """As after an older state of the database was restored."""
    source = server.store_file('src', image)
    drop_locations(server, image, but=f'file://{source}')
    flip(source)
    (said,) = fix(server)
    assert said.startswith(f'{LAST}its data in store src: another sha512')
    flip(source)
    assert fix(server) == ['removed']


def test_all_objects_of_an_image_were_deleted_as_it_had_lost_its_locations(
    server, image,
):
    drop_locations(server, image)
    assert (MOVED, 's1', image) in found(server)
    assert 'removed' not in fix(server)
    assert fix(server, 'correct-locations', stores=['s1'])[-1] == (
        'location corrected'
    )
    assert len(Client(server).download(image)) == 3000
    # The other object is one of many again.
    assert fix(server) == ['removed']


def test_a_copy_replaced_the_last_object_of_an_image_by_nothing(server, image):
    """Its location was lost, and the source of the copy is damaged."""
    source = server.store_file('src', image)
    drop_locations(server, image, but=f'file://{source}')
    good = server.store_file('s1', image).read_bytes()
    flip(source)
    task = helpers.copy(Client(server), image, ['s1'])
    assert task['status'] == 'failure'
    assert server.store_file('s1', image).read_bytes() == good
    flip(source)
    task = helpers.copy(Client(server), image, ['s1'])
    assert task['status'] == 'success', task['message']


@pytest.mark.parametrize('harm', [os.unlink, flip], ids=['gone', 'damaged'])
def test_a_copy_that_was_lost_could_not_be_made_again(server, image, harm):
    path = server.store_file('s1', image)
    harm(path)
    source = server.store_file('src', image)
    flip(source)
    said = fix(server, 'repair', stores=['s1'], verify=True)
    assert said == [
        'left alone: no other data of the image is right: its data in store '
        'src: another sha512'
    ]
    flip(source)
    assert fix(server, 'repair', verify=True) == ['copied anew']
    assert path.read_bytes() == source.read_bytes()
    helpers.assert_unlocked(server, Client(server), image)


def test_nobody_carried_on_a_repair_whose_process_was_killed(
    server, image, tmp_path,
):
    server.store_file('s1', image).unlink()
    switch = tmp_path / 'kill'
    moments.order(switch, 'import-written')
    done = auditing.audit(server, '--repair', **moments.environment(switch))
    assert done.returncode == -signal.SIGKILL
    # The service that runs here does.
    server.invariants.wait_settled(image_id=image)
    helpers.assert_copied(server, Client(server), image, ['src', 's1'])


def test_an_image_stayed_locked_when_the_filter_was_removed_during_its_copy(
    server, source,
):
    client = Client(server)
    image_id, held = helpers.held_image(server, client, source)
    helpers.start(client, image_id, ['s2'])
    assert held.reached.wait(60)
    server.kill()
    held.release()
    assert found(server) == [('interrupted-copy', '', image_id)]
    (said,) = fix(server)
    assert said.startswith('carried on: success, copied ')
    server.start()
    helpers.assert_unlocked(server, client, image_id)
    client.delete(image_id)


def test_the_copy_of_an_image_that_was_deleted_meanwhile_never_ended(
    server, source,
):
    """Deleted by another host, while the one that copies was down."""
    client = Client(server)
    image_id, held = helpers.held_image(server, client, source)
    task_id = helpers.start(client, image_id, ['s2'])
    assert held.reached.wait(60)
    server.kill()
    held.release()
    drop_locations(server, image_id)
    server.execute(
        "UPDATE images SET deleted = :yes, status = 'deleted',"
        ' deleted_at = updated_at WHERE id = :image',
        yes=True, image=image_id,
    )
    server.start()
    helpers.wait_ended(server, task_id)
    assert 'deleted' in helpers.message(server, task_id)
    server.invariants.assert_hold()
    assert not server.store_file('s2', image_id).exists()


def test_an_image_stayed_locked_for_a_task_that_was_never_written(
    server, image,
):
    """The process was killed between the two."""
    client = Client(server)
    auditing.lock(server, image, str(uuid.uuid4()))
    entry = journal_.Journal(
        str(server.staging / 'copy-image' / 'journal')
    ).claim(image, 'req-of-nobody')
    entry.release()
    helpers.wait_until(
        lambda: helpers.LOCK not in client.image(image), 'an unlocked image'
    )


@pytest.mark.parametrize('status, fresh, stale', [
    ('processing', 59, 60.2), ('pending', 119, 120.2),
])
def test_an_image_that_nobody_copied_any_more_could_not_be_copied(
    server, image, status, fresh, stale,
):
    """Glance takes such a lock after one hour, or two."""
    client = Client(server)
    task_id = auditing.revive_task(server, image, status, fresh)
    auditing.lock(server, image, task_id)
    assert client.copy(image, ['s2']).status_code == 409
    auditing.revive_task(server, image, status, stale)
    assert client.copy(image, ['s2']).status_code == 202
    assert client.wait_copy(image)['status'] == 'success'


def test_an_audit_of_hours_said_nothing_at_all(server, image):
    done = auditing.audit(server, '--verify')
    assert (done.returncode, done.stdout) == (
        0, 'Nothing was found: the records fit the stores.\n'
    )
    assert 'Read 0.0 of 0.0 GiB (100 %)' in done.stderr
