# SPDX-License-Identifier: Apache-2.0
"""What a user sees of a copy that goes well."""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from glance_copy_plugin.transfer import progress
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

TARGETS = ['s1', 's2', 's3']
# Of the image that is watched: three seconds for each store.
SIZE = 6 * MIB


def watch(client, image_id, task_id):
    """Look until the task has ended; return (images, messages, task)."""
    images, messages = [], []
    while True:
        task = helpers.task_of(client, image_id, task_id)
        images.append(client.image(image_id))
        messages.append(task['message'])
        if task['status'] in ('success', 'failure'):
            return images, messages, task


@pytest.fixture(scope='module')
def watched(slow):
    """A slow copy, one store after the other, and all that was seen."""
    client = Client(slow)
    image_id = client.create_image(helpers.data(SIZE))
    task_id = helpers.start(client, image_id, TARGETS)
    return watch(client, image_id, task_id)


@pytest.mark.parametrize('size', [0, 1, 3 * MIB + 1])
def test_every_store_gets_the_bytes_of_the_image(either, size):
    client = Client(either)
    content = helpers.data(size)
    image_id = client.create_image(content)
    task = helpers.copy(client, image_id, TARGETS)
    assert task['status'] == 'success', task['message']
    assert task['result'] == {'image_id': image_id}
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, TARGETS)
    for store in TARGETS:
        assert either.store_file(store, image_id).read_bytes() == content
    assert client.stores(image_id) == [*TARGETS, 'src']
    for location in either.locations(image_id):
        assert location['metadata'] == {'store': location['store']}
        assert location['status'] == 'active'


def test_a_copy_can_be_read_when_the_original_is_gone(either):
    client = Client(either)
    content = helpers.data(MIB)
    image_id = client.create_image(content)
    helpers.copy(client, image_id, ['s1', 's2'])
    client.delete(image_id, 'src')
    client.delete(image_id, 's1')
    assert client.stores(image_id) == ['s2']
    assert client.download(image_id) == content


def test_an_image_from_elsewhere_is_staged_and_copied(either, source):
    client = Client(either)
    content = helpers.data(3 * MIB + 5)
    image_id = client.create_image(content)
    offer = source.offer(content)
    helpers.move(either, image_id, 'src', offer.url)
    task = helpers.copy(client, image_id, ['src', *TARGETS])
    assert task['status'] == 'success', task['message']
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, ['src', *TARGETS])


def test_how_much_of_the_image_has_been_read_is_told(glance, client, source):
    image_id, held = helpers.held_image(glance, client, source)
    task_id = helpers.start(client, image_id, ['s1', 's2'])
    assert held.reached.wait(60)
    helpers.wait_until(
        lambda: (
            progress.parse(helpers.message(glance, task_id)) or {}
        ).get('staged'), 'a message of what is staged',
    )
    held.release()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'


def test_no_store_shows_an_image_that_is_not_complete(
    glance, client, source
):
    image_id, held = helpers.held_image(glance, client, source)
    task_id = helpers.start(client, image_id, TARGETS)
    assert held.reached.wait(60)

    def half_written():
        message = helpers.task_of(client, image_id, task_id)['message']
        stores = (progress.parse(message) or {'stores': {}})['stores']
        return stores and all(s['bytes'] for s in stores.values())

    helpers.wait_until(half_written, 'bytes in every store')
    for store in TARGETS:
        assert not glance.store_file(store, image_id).exists()
    assert list(helpers.rows(glance, image_id)) == ['web']
    held.release()
    client.wait_copy(image_id, task_id)
    helpers.assert_copied(glance, client, image_id, TARGETS)


def test_the_image_stays_active_while_it_is_copied(watched):
    images, _messages, task = watched
    assert task['status'] == 'success'
    assert {image['status'] for image in images} == {'active'}


def test_the_importing_property_lists_the_stores_not_yet_done(watched):
    images, _messages, _task = watched
    during = [image for image in images if helpers.LOCK in image]
    begun = [helpers.IMPORTING in image and (
        helpers.named(image, helpers.IMPORTING)
        | set(image['stores'].split(',')) - {'src'}
    ) for image in during]
    assert set(TARGETS) in begun
    assert all(names in (False, set(), set(TARGETS)) for names in begun)
    seen = []
    for image in images:
        importing = helpers.named(image, helpers.IMPORTING)
        done = set(image['stores'].split(','))
        assert not importing & done
        if importing and (not seen or importing != seen[-1]):
            seen.append(importing)
    assert [len(importing) for importing in seen] == [3, 2, 1]
    assert seen[0] > seen[1] > seen[2]


def test_the_importing_property_ends_empty(watched):
    images, _messages, _task = watched
    assert images[-1][helpers.IMPORTING] == ''
    assert images[-1][helpers.FAILED] == ''
    assert helpers.LOCK not in images[-1]


def test_locations_appear_as_each_store_finishes(watched):
    images, _messages, _task = watched
    counts = []
    for image in images:
        count = len(image['stores'].split(','))
        if not counts or count != counts[-1]:
            counts.append(count)
    assert counts == [1, 2, 3, 4]


def test_the_task_tells_bytes_percent_rate_and_time_left(watched):
    _images, messages, task = watched
    seen = [progress.parse(message) for message in messages]
    seen = [p for p in seen if p and p['phase'] == 'copying']
    assert len({p['read'] for p in seen}) > 1
    for found in seen:
        assert set(found['stores']) == set(TARGETS)
        assert found['size'] == SIZE
        assert 0 <= found['percent'] <= 100
        for entry in found['stores'].values():
            if entry['state'] == 'copying':
                assert 0 <= entry['bytes'] <= SIZE
                assert entry['percent'] == 100 * entry['bytes'] // SIZE
    timed = [p for p in seen if p['seconds_left'] is not None]
    assert timed
    assert all(p['rate'] > 0 for p in timed)
    moving = [
        entry['bytes'] for p in seen for entry in p['stores'].values()
        if entry['state'] == 'copying' and 0 < entry['bytes'] < SIZE
    ]
    assert moving
    percents = [p['percent'] for p in seen]
    assert percents == sorted(percents)
    assert task['message'] == f'copied {SIZE} bytes to s1, s2, s3'


def test_the_failed_property_is_emptied_when_a_copy_begins(
    glance, client, source
):
    image_id, held = helpers.held_image(glance, client, source)
    shelf = glance.places['s1']
    with helpers.replaced_by_file(shelf):
        task_id = helpers.start(
            client, image_id, ['s1', 's2'], all_stores_must_succeed=False
        )
        held.release()
        assert client.wait_copy(image_id, task_id)['status'] == 'success'
    image = helpers.assert_unlocked(glance, client, image_id, failed=['s1'])
    assert set(image['stores'].split(',')) == {'web', 's2'}
    content = held.content
    again = source.offer(content, hold_at=MIB)
    glance.execute(
        'UPDATE image_locations SET value = :new WHERE value = :old',
        new=again.url, old=held.url,
    )
    client.delete(image_id, 's2')
    task_id = helpers.start(client, image_id, ['s1', 's3'])
    assert again.reached.wait(60)
    image = client.image(image_id)
    assert image[helpers.FAILED] == ''
    assert helpers.named(image, helpers.IMPORTING) == {'s1', 's3'}
    again.release()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    helpers.assert_unlocked(glance, client, image_id)
    helpers.assert_copied(glance, client, image_id, ['s1', 's3'])


def test_files_get_the_mode_that_the_store_gives_them(either):
    client = Client(either)
    image_id = client.create_image(b'x' * 4096)
    helpers.copy(client, image_id, TARGETS)
    mode = {
        store: stat.S_IMODE(either.store_file(store, image_id).stat().st_mode)
        for store in ['src', *TARGETS]
    }
    assert mode['s1'] == mode['s3'] == mode['src']


def test_files_get_the_mode_that_the_operator_sets(glance, client):
    image_id = client.create_image(b'x' * 4096)
    helpers.copy(client, image_id, ['s2'])
    mode = glance.store_file('s2', image_id).stat().st_mode
    assert stat.S_IMODE(mode) == 0o640


def test_holes_are_kept(glance, client):
    content = b'begin'.ljust(16 * MIB, b'\0') + helpers.data(MIB)
    content += bytes(8 * MIB)
    image_id = client.create_image(content)
    path = glance.store_file('src', image_id)
    with path.open('r+b') as stream:
        stream.truncate(0)
        stream.write(b'begin')
        stream.seek(16 * MIB)
        stream.write(content[16 * MIB:17 * MIB])
        stream.truncate(len(content))
    assert path.stat().st_blocks * 512 < 4 * MIB
    assert helpers.copy(client, image_id, TARGETS)['status'] == 'success'
    helpers.assert_copied(glance, client, image_id, TARGETS)
    for store in TARGETS:
        copied = glance.store_file(store, image_id).stat()
        assert copied.st_blocks * 512 < 4 * MIB


def test_the_real_client_copies_an_image(glance, client):
    image_id = client.create_image(helpers.data(MIB))
    program = pathlib.Path(sys.executable).with_name('glance')
    done = subprocess.run(
        [program, '--os-image-url', glance.url, '--os-auth-token',
         client.token, 'image-import', image_id, '--import-method',
         'copy-image', '--stores', 's1,s2,s3'],
        capture_output=True, text=True, env=environment(), timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert client.wait_copy(image_id)['status'] == 'success'
    helpers.assert_copied(glance, client, image_id, TARGETS)


@pytest.mark.long
def test_the_real_client_shows_why_a_copy_is_refused(glance, client):
    image_id = client.create_image(b'x')
    program = pathlib.Path(sys.executable).with_name('glance')
    done = subprocess.run(
        [program, '--os-image-url', glance.url, '--os-auth-token',
         client.token, 'image-import', image_id, '--import-method',
         'copy-image', '--stores', 's1,s1'],
        capture_output=True, text=True, env=environment(), timeout=120,
    )
    assert done.returncode != 0
    assert 'name each one once' in done.stderr
    assert client.tasks(image_id) == []


def environment():
    """The environment without proxies and credentials of a cloud."""
    return {
        name: value for name, value in os.environ.items()
        if not name.lower().endswith('_proxy') and not name.startswith('OS_')
    }
