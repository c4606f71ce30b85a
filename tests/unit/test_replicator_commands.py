# SPDX-License-Identifier: Apache-2.0

"""What options of the commands do, with two small Image services."""

import json
from unittest import mock

import pytest

from glance_copy_plugin.transfer import limits
from glance_replicate import records
from glance_replicate.commands import arguments
from tests.functional import replicating
from tests.parts import dumps
from tests.parts import image_api
from tests.unit.test_replicator_records import parsed

DATA = b'the bytes of an image'


@pytest.fixture
def sides():
    with image_api.ImageApi() as source, image_api.ImageApi() as target:
        yield source, target


def test_options_say_how_records_differ():
    found = arguments.rules(parsed(
        '--drop-property=a', '--drop-property=b*', '--map-property=old=new',
        '--set-property=region=south', '--keep-owner',
        '--set-visibility=private',
        add=(arguments.add_rules,),
    ))
    assert found == records.Rules(
        renamed={'old': 'new'}, changed={'region': 'south'},
        dropped=('a', 'b*'), keep_owner=True, visibility='private',
    )
    nothing = arguments.rules(parsed(add=(arguments.add_rules,)))
    assert nothing == records.Rules()


def test_livecopy_changes_only_what_it_is_told_to(sides):
    source, target = sides
    old, new = source.add(DATA, name='renamed'), source.add(DATA)
    half = source.add(DATA)
    target.add(DATA, id=old)
    target.add(
        None, id=half, glance_replicate_unfinished=f'{half} elsewhere 5 5'
    )
    for options, results in (
        (['--dry-run'], ('would update', 'would copy', 'would copy')),
        (['--dry-run', '--metadata-only'], ('would update', 'same', 'same')),
        (['--metadata-only'], ('updated', 'same', 'same')),
        ([], ('same', 'copied', 'failed')),
        (['--redo-unfinished'], ('same', 'same', 'copied')),
    ):
        before = {method for method, _path in target.asked}
        done = replicating.livecopy(source, target, *options)
        wanted = dict(zip((old, new, half), results, strict=True))
        assert done.by_image() == wanted
        assert done.status == ('failed' in results), done
        details = {row['Image']: row['Detail'] for row in done.rows}
        if 'update' in results[0]:
            assert before <= {'GET'}
            assert details[old] == 'name'
        if '--metadata-only' in options:
            assert details[new].endswith('copies no image')
        if options == ['--dry-run']:
            assert '2 would copy' in done.err
            assert f'; {2 * len(DATA)} B' in done.err
    assert set(target.data.values()) == {DATA}


def test_the_first_store_is_written_to_and_the_target_copies_to_others(sides):
    source, target = sides
    image_id = source.add(DATA)
    done = replicating.livecopy(source, target, '--store=s1', '--store=s2')
    assert done.status == 0, done
    stores = [found.get('X-Image-Meta-Store') for found in target.headers]
    assert list(filter(None, stores)) == ['s1']
    assert target.images[image_id]['stores'] == 's1,s2'
    # A store that is not there costs no image its id.
    source.add(DATA)
    for stores in (['--store=nowhere'], ['--store=s1', '--store=nowhere']):
        done = replicating.livecopy(source, target, *stores)
        assert (done.status, done.out) == (1, ''), done
        assert 'has no store nowhere' in done.err
    assert target.images.keys() == {image_id}


def test_options_say_how_often_and_how_long_something_is_tried(sides):
    source, target = sides
    source.add(DATA)
    target.on('POST', 'images', (503, {}, {'Retry-After': '61'}), times=3)
    for options, told in (
        (['--timeout=60'], '1 attempt: the server asks to wait 61 s'),
        (['--retries=0'], 'gave up after 1 attempt'),
        (['--retries=1', '--timeout=60'], 'gave up after 1 attempt'),
    ):
        done = replicating.livecopy(source, target, *options)
        assert done.status == 1
        assert told in done.rows[0]['Detail']
    for wrong in ('--retries=-1', '--retries=x', '--timeout=0'):
        assert replicating.here('size', source.url, wrong).status == 2


def test_images_are_filled_in_the_order_that_is_asked_for(sides):
    cloud, _other = sides
    ids = [
        cloud.add(b'x' * size, created_at=f'2026-01-0{day}')
        for size, day in ((3, 1), (1, 2), (2, 3))
    ]
    for option, order in (
        ((), [ids[1], ids[2], ids[0]]), (('--order=newest',), ids[::-1]),
        (('--order=oldest',), ids),
    ):
        done = replicating.on(cloud, 'fill', 's2', '--dry-run', *option)
        assert [row['Image'] for row in done.rows] == order


def test_a_dump_is_made_and_loaded_with_the_bandwidth_that_is_told(
    sides, tmp_path
):
    source, target = sides
    image_id = source.add(DATA)
    with mock.patch.object(
        limits, 'BandwidthLimit', wraps=limits.BandwidthLimit
    ) as made:
        for done, what in (
            (replicating.dump(source, tmp_path, '--bandwidth=1M'), 'copied'),
            (replicating.load(target, tmp_path, '--bandwidth=2M'), 'copied'),
            (replicating.livecopy(source, target, '--bandwidth=3M'), 'same'),
        ):
            assert done.by_image() == {image_id: what}
    assert [call.args[0] // 1024 ** 2 for call in made.call_args_list] == [
        1, 2, 3,
    ]
    assert target.data == {image_id: DATA}


def test_a_bad_image_keeps_no_other_from_being_loaded(sides, tmp_path):
    _source, target = sides
    good = '99999999-1111-4222-8333-abcdefabcde0'
    top = dumps.make(tmp_path / 'dump')
    other = dumps.make(tmp_path / 'other', dumps.GOOD, good)
    (other / 'images' / good).rename(top / 'images' / good)
    listed = json.loads((other / 'manifest.json').read_text())['images']
    dumps.edit_list(top, lambda found: found['images'].update(listed))
    (top / 'images' / dumps.IMAGE / 'data').write_bytes(
        b'x' * len(dumps.GOOD)
    )
    done = replicating.load(target, top)
    assert done.status == 1
    assert done.by_image() == {dumps.IMAGE: 'failed', good: 'copied'}
    assert target.data == {good: dumps.GOOD}
    assert list(target.images) == [good]
    # A filter leaves out what it does not mean, if that can be told.
    done = replicating.load(target, top, '--name=another', '--allow-empty')
    assert done.by_image() == {}
    # What is no dump is told in one sentence.
    for folder in (tmp_path, tmp_path / 'absent'):
        done = replicating.load(target, folder)
        assert done.status == 1
        assert len(done.err.strip().splitlines()) == 1, done
    assert not (tmp_path / 'absent').exists()


def test_what_is_no_image_is_left_out_and_ends_no_command(sides, tmp_path):
    source, target = sides
    good, bad = source.add(DATA), source.add(DATA, id='../../etc')
    for done, what in (
        (replicating.livecopy(source, target), 'copied'),
        (replicating.dump(source, tmp_path), 'copied'),
        (replicating.on(source, 'fill', 's2'), 'copied'),
    ):
        assert (done.status, done.by_image()) == (0, {good: what}), done
        assert f'{bad} is not the id of an image' in done.err


def test_an_image_without_a_size_is_counted_as_nothing(sides):
    source, target = sides
    image_id = source.add(DATA, size=None)
    done = replicating.here(
        *replicating.arguments('size', source), '--visibility=private'
    )
    assert (done.rows[0]['Images'], done.rows[0]['Bytes']) == (1, 0)
    done = replicating.compare(source, target)
    assert done.status == 1
    assert done.rows[0] == {
        'Image': image_id, 'Name': 'one', 'Difference': 'missing',
        'Fields': '', 'Bytes': 0,
    }
