# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate dump`` and ``load``, with real clouds and directories."""

import hashlib
import json
import os
import signal
import subprocess

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import dumps
from tests.parts import filesystems
from tests.unit import test_replicator_hostile as hostile

pytestmark = pytest.mark.functional


@pytest.fixture
def clouds(cloud_a, cloud_b):
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


def dump(source, folder, *more):
    return replicating.run(
        'dump', source.url, folder, f'--from-token={replicating.ADMIN}', *more
    )


def load(target, folder, *more):
    return replicating.run(
        'load', target.url, folder, f'--to-token={replicating.ADMIN}', *more
    )


def test_what_is_dumped_and_loaded_is_the_same(clouds, tmp_path):
    source, target = clouds
    client = Client(source)
    ids = [
        client.create_image(
            helpers.data(2 * MIB + 5), name='Größe\n2', tags=['a'],
            visibility='public', protected=True, kind='x\ty', os_hidden=True,
        ),
        client.create_image(b''),
    ]
    done = dump(source, tmp_path / 'dump')
    assert done.status == 0, done
    assert set(done.by_image().values()) == {'copied'}
    done = load(target, tmp_path / 'dump')
    assert done.status == 0, done
    for image_id in ids:
        replicating.assert_replicated(source, target, image_id)
    assert replicating.compare(source, target).status == 0


def test_dumping_and_loading_again_move_nothing(clouds, tmp_path):
    source, target = clouds
    client = Client(source)
    one, two = replicating.small(client, 2)
    dump(source, tmp_path)
    load(target, tmp_path)
    client.patch(two, {'op': 'replace', 'path': '/name', 'value': 'new'})
    done = dump(source, tmp_path)
    assert done.by_image() == {one: 'same', two: 'updated'}
    done = load(target, tmp_path)
    assert done.by_image() == {one: 'same', two: 'updated'}
    assert Client(target).image(two)['name'] == 'new'


def test_members_are_dumped_and_loaded_when_asked_for(clouds, tmp_path):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(), visibility='shared')
    client.demand(
        'POST', f'/images/{image_id}/members', json={'member': 'friend'}
    )
    dump(source, tmp_path, '--members')
    load(target, tmp_path, '--members')
    found = Client(target).demand('GET', f'/images/{image_id}/members').json()
    assert [each['member_id'] for each in found['members']] == ['friend']


def test_a_dry_run_of_dump_writes_nothing(clouds, tmp_path):
    source, _target = clouds
    replicating.small(Client(source), 2)
    done = dump(source, tmp_path / 'new', '--dry-run')
    assert set(done.by_image().values()) == {'would copy'}
    assert not (tmp_path / 'new').exists()


def test_a_dump_that_is_killed_goes_on(clouds, tmp_path):
    source, target = clouds
    ids = replicating.small(Client(source), 12, size=MIB)
    folder = tmp_path / 'dump'
    for wanted in (1, 4, 8):
        running = replicating.start(
            'dump', source.url, folder, '--bandwidth=8M',
            f'--from-token={replicating.ADMIN}',
        )
        helpers.wait_until(
            lambda count=wanted: len(in_list(folder)) >= count,
            f'{wanted} images in the list',
        )
        running.kill()
        running.communicate()
        # Whatever the list tells of is there, and is right.
        for image_id, entry in in_list(folder).items():
            data = (folder / 'images' / image_id / 'data').read_bytes()
            assert hashlib.sha512(data).hexdigest() == entry['digest']
    done = dump(source, folder)
    assert done.status == 0, done
    assert list(done.by_image().values()).count('same') >= 8
    assert sorted(in_list(folder)) == sorted(ids)
    assert sorted(os.listdir(folder / 'images')) == sorted(ids)
    assert load(target, folder).status == 0
    assert replicating.compare(source, target).status == 0


def in_list(folder):
    path = folder / 'manifest.json'
    return json.loads(path.read_text())['images'] if path.exists() else {}


def test_a_dump_onto_a_full_disk_says_so_and_goes_on_later(clouds):
    source, _target = clouds
    replicating.small(Client(source), 3, size=2 * MIB)
    with filesystems.small(5 * MIB) as place:
        done = dump(source, place / 'dump', '--workers=1')
        assert done.status == 1
        results = list(done.by_image().values())
        assert sorted(results) == ['copied', 'copied', 'failed']
        (bad,) = [row for row in done.rows if row['Result'] == 'failed']
        assert 'No space left' in bad['Detail']
        assert len(in_list(place / 'dump')) == 2
        assert len(os.listdir(place / 'dump' / 'images')) == 2
        Client(source).delete(done.rows[0]['Image'])
        subprocess.run(
            ['mount', '-o', 'remount,size=20m', place], check=True
        )
        done = dump(source, place / 'dump')
        assert done.by_image()[bad['Image']] == 'copied'
        assert len(in_list(place / 'dump')) == 3


def test_two_dumps_do_not_write_the_same_directory(clouds, tmp_path):
    source, _target = clouds
    replicating.small(Client(source), 2, size=2 * MIB)
    first = replicating.start(
        'dump', source.url, tmp_path, '--bandwidth=1M',
        f'--from-token={replicating.ADMIN}',
    )
    helpers.wait_until(lambda: (tmp_path / 'images').exists(), 'the first')
    second = dump(source, tmp_path)
    assert second.status == 1
    assert 'Another process is dumping' in second.err
    first.send_signal(signal.SIGINT)
    assert replicating.finish(first).status == 130


def test_a_load_that_is_killed_goes_on(clouds, tmp_path):
    source, target = clouds
    replicating.small(Client(source), 8, size=MIB)
    dump(source, tmp_path)
    for wanted in (2, 5):
        running = replicating.start(
            'load', target.url, tmp_path, '--bandwidth=6M',
            f'--to-token={replicating.ADMIN}',
        )
        helpers.wait_until(
            lambda count=wanted: sum(
                image['status'] == 'active'
                for image in replicating.images(target).values()
            ) >= count, f'{wanted} images',
        )
        running.kill()
        running.communicate()
    done = load(target, tmp_path)
    assert done.status == 0, done
    assert replicating.compare(source, target).status == 0


def test_of_hostile_images_none_is_loaded_and_the_good_one_is(
    cloud_b, tmp_path
):
    good = '99999999-1111-4222-8333-abcdefabcdef'
    with replicating.emptied(cloud_b):
        for number, (name, spoil) in enumerate(hostile.CASES[::23]):
            top = dumps.make(tmp_path / f'case {number}')
            add_good(top, good, dumps.GOOD)
            spoil(top)
            done = load(cloud_b, top)
            assert done.status == 1, (name, done)
            assert dumps.IMAGE not in replicating.images(cloud_b), name


def add_good(top, image_id, data):
    """Add a second image to a dump, which nobody spoils."""
    other = dumps.make(top.with_name(f'{top.name} other'), data, image_id)
    (other / 'images' / image_id).rename(top / 'images' / image_id)
    found = json.loads((other / 'manifest.json').read_text())['images']
    dumps.edit_list(top, lambda listed: listed['images'].update(found))


def test_a_bad_image_keeps_no_other_from_being_loaded(cloud_b, tmp_path):
    good = '99999999-1111-4222-8333-abcdefabcde0'
    top = dumps.make(tmp_path / 'dump')
    add_good(top, good, dumps.GOOD)
    (top / 'images' / dumps.IMAGE / 'data').write_bytes(
        b'x' * len(dumps.GOOD)
    )
    with replicating.emptied(cloud_b):
        done = load(cloud_b, top)
        assert done.status == 1
        assert done.by_image() == {dumps.IMAGE: 'failed', good: 'copied'}
        assert list(replicating.images(cloud_b)) == [good]


def test_a_directory_that_is_no_dump_is_one_sentence(cloud_b, tmp_path):
    for folder in (tmp_path, tmp_path / 'absent'):
        done = load(cloud_b, folder)
        assert done.status == 1
        assert len(done.err.strip().splitlines()) == 1, done
