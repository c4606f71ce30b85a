# SPDX-License-Identifier: Apache-2.0
"""Copies into stores that fail, for real reasons."""

import contextlib
import subprocess

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional


def start_small(start_glance, mount_tmpfs, shared, copiers):
    """Start a server whose store ``full`` has 2 MiB, ``ro`` is read-only.

    Its store ``twin`` has the directory of the first one.
    """
    full, read_only = mount_tmpfs('2m'), mount_tmpfs('64m')
    server = start_glance(
        f'small-{copiers or "stream"}',
        {'copy_image': {'copiers': copiers, 'bandwidth_limit': 8 * MIB}},
        stores=['src', 's1', 's2', 'full', 'ro', 'twin'],
        store_dirs={
            'full': full, 'ro': read_only, 'src': shared, 'twin': shared,
        },
        audit=True,
    )
    server.invariants.stores.remove('twin')
    subprocess.run(['mount', '-o', 'remount,ro', read_only], check=True)
    return server


@pytest.fixture(scope='module')
def small_stream(start_glance, mount_tmpfs, tmp_path_factory):
    shared = tmp_path_factory.mktemp('shared')
    return start_small(start_glance, mount_tmpfs, shared, '')


@pytest.fixture(scope='module')
def small_copier(start_glance, mount_tmpfs, tmp_path_factory):
    shared = tmp_path_factory.mktemp('shared')
    return start_small(start_glance, mount_tmpfs, shared, 'file')


@pytest.fixture(params=[
    'small_stream', pytest.param('small_copier', marks=pytest.mark.long),
])
def failing(request):
    return request.getfixturevalue(request.param)


def new_image(server, size=4 * MIB):
    client = Client(server)
    image_id = client.create_image(helpers.data(size), store='src')
    return client, image_id


def assert_reason(task, *stores):
    """Check that the message names the stores that failed, and why."""
    text = task['message']
    assert 'Internal Error' not in text
    for store in stores:
        assert f'store {store}: ' in text


REASONS = {
    'full': 'no space left',
    'ro': ('denied', 'Read-only file system'),
}


@pytest.mark.parametrize('broken', ['full', 'ro'])
def test_one_failure_fails_the_copy_and_takes_it_back(failing, broken):
    client, image_id = new_image(failing)
    source_data = failing.store_file('src', image_id).read_bytes()
    helpers.copy(client, image_id, ['s2'])
    before = helpers.rows(failing, image_id)
    task = helpers.copy(client, image_id, ['s1', broken])
    assert task['status'] == 'failure'
    assert_reason(task, broken)
    reasons = REASONS[broken]
    reasons = (reasons,) if isinstance(reasons, str) else reasons
    assert any(r.lower() in task['message'].lower() for r in reasons)
    assert 'store s1: ' not in task['message']
    helpers.assert_unlocked(failing, client, image_id, failed=[broken])
    assert helpers.rows(failing, image_id) == before
    helpers.assert_untouched(failing, image_id, ['s1', broken])
    helpers.assert_copied(failing, client, image_id, ['src', 's2'])
    assert failing.store_file('src', image_id).read_bytes() == source_data


@pytest.mark.parametrize('broken', ['full', 'ro'])
def test_the_other_stores_get_the_image_if_one_may_fail(failing, broken):
    client, image_id = new_image(failing)
    task = helpers.copy(
        client, image_id, ['s1', broken, 's2'], all_stores_must_succeed=False
    )
    assert task['status'] == 'success'
    assert_reason(task, broken)
    assert 'to s1, s2' in task['message']
    helpers.assert_unlocked(failing, client, image_id, failed=[broken])
    helpers.assert_copied(failing, client, image_id, ['src', 's1', 's2'])
    helpers.assert_untouched(failing, image_id, [broken])


@pytest.mark.parametrize('strict', [True, False])
def test_the_copy_fails_if_every_store_does(failing, strict):
    client, image_id = new_image(failing)
    before = helpers.rows(failing, image_id)
    task = helpers.copy(
        client, image_id, ['full', 'ro'], all_stores_must_succeed=strict
    )
    assert task['status'] == 'failure'
    image = client.wait_unlocked(image_id)
    failed = helpers.named(image, helpers.FAILED)
    if strict:
        assert failed and failed <= {'full', 'ro'}
    else:
        assert failed == {'full', 'ro'}
    assert_reason(task, *failed)
    helpers.assert_unlocked(failing, client, image_id, failed=failed)
    assert helpers.rows(failing, image_id) == before
    helpers.assert_untouched(failing, image_id, ['full', 'ro'])


def test_the_words_of_the_specification_mean_the_same(failing):
    client, image_id = new_image(failing)
    task = helpers.copy(
        client, image_id, ['s1', 'full'], allow_failure=True
    )
    assert task['status'] == 'success'
    helpers.assert_unlocked(failing, client, image_id, failed=['full'])
    assert sorted(helpers.rows(failing, image_id)) == ['s1', 'src']


@pytest.mark.parametrize('strict', [True, False])
def test_a_store_that_becomes_full_on_the_way_is_cleaned(
    failing, source, strict
):
    """The driver sees room enough at first: the copy fails half-way."""
    client = Client(failing)
    content = helpers.data(MIB * 3 // 2)
    image_id = client.create_image(content)
    offer = source.offer(content, hold_at=MIB)
    helpers.move(failing, image_id, 'src', offer.url)
    task_id = helpers.start(
        client, image_id, ['s1', 'full'], all_stores_must_succeed=strict
    )
    assert offer.reached.wait(60)
    filler = failing.places['full'] / 'filler'
    with contextlib.suppress(OSError):
        filler.write_bytes(helpers.data(2 * MIB))
    offer.release()
    task = client.wait_copy(image_id, task_id)
    filler.unlink()
    assert (task['status'] == 'failure') is strict
    assert_reason(task, 'full')
    assert 'space' in task['message'].lower()
    helpers.assert_unlocked(failing, client, image_id, failed=['full'])
    helpers.assert_untouched(failing, image_id, ['full'])
    assert ('s1' in helpers.rows(failing, image_id)) is not strict


def test_a_store_whose_directory_became_a_file_fails(either):
    client, image_id = new_image(either)
    with helpers.replaced_by_file(either.places['s3']):
        task = helpers.copy(
            client, image_id, ['s1', 's3'], all_stores_must_succeed=False
        )
    assert task['status'] == 'success'
    assert_reason(task, 's3')
    helpers.assert_unlocked(either, client, image_id, failed=['s3'])
    helpers.assert_copied(either, client, image_id, ['s1'])
    helpers.assert_untouched(either, image_id, ['s3'])


def test_one_failure_stops_the_stores_that_still_copy(either, source):
    """The source hands out half of the image and then nothing at all."""
    client = Client(either)
    image_id, held = helpers.held_image(either, client, source)
    with helpers.replaced_by_file(either.places['s3']):
        task_id = helpers.start(client, image_id, ['s1', 's2', 's3'])
        task = client.wait_copy(image_id, task_id)
    assert task['status'] == 'failure'
    assert_reason(task, 's3')
    assert 'store s1' not in task['message']
    assert 'store s2' not in task['message']
    helpers.assert_unlocked(either, client, image_id, failed=['s3'])
    helpers.assert_untouched(either, image_id, ['s1', 's2', 's3'])
    assert list(helpers.rows(either, image_id)) == ['web']


def test_a_copy_that_failed_can_be_made_again(either):
    client, image_id = new_image(either)
    with helpers.replaced_by_file(either.places['s3']):
        task = helpers.copy(client, image_id, ['s1', 's3'])
    assert task['status'] == 'failure'
    helpers.assert_unlocked(either, client, image_id, failed=['s3'])
    task = helpers.copy(client, image_id, ['s1', 's3'])
    assert task['status'] == 'success'
    helpers.assert_unlocked(either, client, image_id)
    helpers.assert_copied(either, client, image_id, ['s1', 's3'])


def test_an_object_that_no_location_names_is_replaced(either):
    client, image_id = new_image(either)
    either.store_file('s1', image_id).write_bytes(b'left by a crash')
    task = helpers.copy(client, image_id, ['s1'])
    assert task['status'] == 'success', task['message']
    helpers.assert_copied(either, client, image_id, ['s1'])


@pytest.mark.parametrize('way', ['small_copier', 'small_stream'])
def test_two_stores_in_one_directory_do_not_destroy_the_image(request, way):
    server = request.getfixturevalue(way)
    client, image_id = new_image(server, MIB)
    content = client.download(image_id)
    task = helpers.copy(client, image_id, ['twin'])
    assert task['status'] == 'failure'
    assert_reason(task, 'twin')
    helpers.assert_unlocked(server, client, image_id, failed=['twin'])
    assert client.download(image_id) == content
    assert list(helpers.rows(server, image_id)) == ['src']
