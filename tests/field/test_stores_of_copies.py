# SPDX-License-Identifier: Apache-2.0

"""Copies that were not in the store that was asked for."""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client

pytestmark = pytest.mark.functional


def fields(done):
    return {row['Image']: row['Fields'] for row in done.rows}


def test_an_image_that_was_there_was_never_brought_into_the_store(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(1000), name='old')
    replicating.livecopy(source, target)
    stores = ('--store=s1', '--store=s2', '--store=s1')
    done = replicating.compare(source, target, *stores)
    assert done.status == 1
    assert fields(done) == {image_id: 'store s1, store s2'}
    done = replicating.livecopy(source, target, '--dry-run', *stores)
    (row,) = done.rows
    assert (row['Result'], row['Bytes'], row['Detail']) == (
        'would update', 2000, 'store s1, store s2',
    )
    # Only data can bring it there.
    done = replicating.livecopy(source, target, '--metadata-only', *stores)
    assert done.by_image() == {image_id: 'same'}
    assert Client(target).stores(image_id) == ['src']
    Client(source).patch(
        image_id, {'op': 'replace', 'path': '/name', 'value': 'new'}
    )
    done = replicating.livecopy(source, target, *stores)
    (row,) = done.rows
    assert (row['Result'], row['Bytes'], row['Detail']) == (
        'updated', 2000, 'name, store s1, store s2',
    )
    assert sorted(Client(target).stores(image_id)) == ['s1', 's2', 'src']
    replicating.assert_replicated(source, target, image_id)
    assert replicating.compare(source, target, *stores).status == 0
    done = replicating.livecopy(source, target, *stores)
    assert done.by_image() == {image_id: 'same'}


def test_a_loaded_image_was_never_brought_into_the_store(clouds, tmp_path):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(1000))
    folder = tmp_path / 'dump'
    replicating.dump(source, folder)
    replicating.load(target, folder)
    done = replicating.load(target, folder, '--store=s2')
    assert done.by_image() == {image_id: 'updated'}
    assert sorted(Client(target).stores(image_id)) == ['s2', 'src']


def test_a_store_that_does_not_exist_was_told_image_by_image_or_not_at_all(
    clouds, tmp_path
):
    source, target = clouds
    Client(source).create_image(helpers.data(1000))
    folder = tmp_path / 'dump'
    replicating.dump(source, folder)
    # The last is there, and nobody can write to it.
    for store in ('nowhere', '', 'web'):
        for status, run in (
            (1, lambda *o: replicating.livecopy(source, target, *o)),
            (1, lambda *o: replicating.livecopy(
                source, target, '--dry-run', *o)),
            (1, lambda *o: replicating.load(target, folder, *o)),
            (2, lambda *o: replicating.compare(source, target, *o)),
        ):
            done = run('--store=s1', f'--store={store}')
            assert (done.status, done.out) == (status, ''), done
            (line,) = done.err.strip().splitlines()
            assert f'has no store {store} that can be written' in line
            assert 'it has src, s1, s2, s3' in line
    assert replicating.images(target) == {}


def test_a_copy_that_failed_in_one_store_could_not_be_used_in_the_others(
    clouds
):
    source, target = clouds
    image_id = Client(source).create_image(
        helpers.data(1000), visibility='public'
    )
    stores = ('--store=s1', '--store=s2')
    with helpers.replaced_by_file(target.places['s2']):
        done = replicating.livecopy(source, target, *stores)
    assert done.status == 1
    assert 'not copied to s2' in done.rows[0]['Detail']
    replicating.assert_replicated(source, target, image_id)
    done = replicating.livecopy(source, target, *stores)
    assert done.by_image() == {image_id: 'updated'}
    assert sorted(Client(target).stores(image_id)) == ['s1', 's2']


def test_a_user_who_may_not_copy_between_stores_was_told_all_is_the_same(
    clouds
):
    source, target = clouds
    alice = 'alice:demo:member,reader'
    image_id = Client(source, alice).create_image(helpers.data(1000))

    def run(*options):
        return replicating.here(*replicating.arguments(
            'livecopy', source, target, token=alice
        ), *options)

    assert run().by_image() == {image_id: 'copied'}
    done = run('--store=s1')
    assert (done.status, done.by_image()) == (1, {image_id: 'failed'})
    assert 'not copied to s1: ' in done.rows[0]['Detail']
    assert 'answers 403' in done.rows[0]['Detail']
