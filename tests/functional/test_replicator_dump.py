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
from tests.parts import proxy

pytestmark = pytest.mark.functional

LIMIT = 120  # seconds for what has to come


@pytest.fixture
def clouds(cloud_a, cloud_b):
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


def start(source, folder, *more):
    """Begin a dump in a process of its own."""
    return replicating.start(
        'dump', source.url, folder, f'--from-token={replicating.ADMIN}', *more
    )


def in_list(folder):
    path = folder / 'manifest.json'
    return json.loads(path.read_text())['images'] if path.exists() else {}


def test_what_is_dumped_and_loaded_is_the_same(clouds, tmp_path):
    source, target = clouds
    client = Client(source)
    ids = [
        client.create_image(
            helpers.data(2 * MIB + 5), name='Größe\n2', tags=['a'],
            visibility='public', protected=True, kind='x\ty', os_hidden=True,
        ),
        client.create_image(b''),
        client.create_image(helpers.data(1000), visibility='shared'),
    ]
    client.demand(
        'POST', f'/images/{ids[2]}/members', json={'member': 'friend'}
    )
    folder = tmp_path / 'dump'
    done = replicating.dump(source, folder, '--members', '--dry-run')
    assert done.by_image() == dict.fromkeys(ids, 'would copy')
    assert not folder.exists()
    done = replicating.dump(source, folder, '--members')
    assert done.status == 0, done
    assert done.by_image() == dict.fromkeys(ids, 'copied')
    done = replicating.load(target, folder, '--members')
    assert done.status == 0, done
    for image_id in ids:
        replicating.assert_replicated(source, target, image_id)
    assert replicating.members(target, ids[2]) == ['friend']
    assert replicating.compare(source, target).status == 0


def test_dumping_and_loading_again_move_nothing(clouds, tmp_path):
    source, target = clouds
    client = Client(source)
    one, two = replicating.small(client, 2)
    replicating.dump(source, tmp_path)
    replicating.load(target, tmp_path)
    client.patch(two, {'op': 'replace', 'path': '/name', 'value': 'new'})
    before = (tmp_path / 'manifest.json').read_bytes()
    done = replicating.dump(source, tmp_path, '--dry-run')
    assert done.by_image() == {one: 'same', two: 'would update'}
    assert (tmp_path / 'manifest.json').read_bytes() == before
    done = replicating.dump(source, tmp_path)
    assert done.by_image() == {one: 'same', two: 'updated'}
    done = replicating.load(target, tmp_path)
    assert done.by_image() == {one: 'same', two: 'updated'}
    assert Client(target).image(two)['name'] == 'new'


def test_a_dump_that_is_killed_goes_on(clouds, tmp_path):
    source, target = clouds
    ids = [
        *replicating.small(Client(source), 2),
        Client(source).create_image(helpers.data(3 * MIB)),
    ]
    folder = tmp_path / 'dump'
    with proxy.Proxy(source.port, hold_at=MIB) as line:
        running = start(line, folder)
        assert line.held.wait(LIMIT)
        helpers.wait_until(lambda: len(in_list(folder)) == 2, 'two images')
        # Nobody else writes there meanwhile.
        second = replicating.dump(source, folder)
        assert second.status == 1
        assert 'Another process is dumping' in second.err
        running.kill()
        running.communicate()
    # Whatever the list tells of is there, and is right.
    for image_id, entry in in_list(folder).items():
        data = (folder / 'images' / image_id / 'data').read_bytes()
        assert hashlib.sha512(data).hexdigest() == entry['digest']
    done = replicating.dump(source, folder)
    assert done.status == 0, done
    assert sorted(done.by_image().values()) == ['copied', 'same', 'same']
    assert sorted(in_list(folder)) == sorted(ids)
    assert sorted(os.listdir(folder / 'images')) == sorted(ids)
    assert replicating.load(target, folder).status == 0
    assert replicating.compare(source, target).status == 0


def test_a_dump_keeps_to_its_bandwidth_and_stops_at_a_signal(clouds, tmp_path):
    source, _target = clouds
    image_id = Client(source).create_image(helpers.data())
    # With that bandwidth it would take half an hour.
    running = start(source, tmp_path, '--bandwidth=1K')
    helpers.wait_until(
        lambda: list(tmp_path.glob('images/.*/data')), 'the first', LIMIT
    )
    running.send_signal(signal.SIGTERM)
    done = replicating.finish(running)
    assert done.status == 130
    assert done.by_image() == {image_id: 'not done'}
    assert os.listdir(tmp_path / 'images') == []


@pytest.mark.long
def test_dumping_and_loading_are_killed_again_and_again(clouds, tmp_path):
    source, target = clouds
    replicating.small(Client(source), 12, size=MIB)
    for wanted in (1, 4, 8):
        running = start(source, tmp_path, '--bandwidth=8M')
        helpers.wait_until(
            lambda count=wanted: len(in_list(tmp_path)) >= count,
            f'{wanted} images in the list', LIMIT,
        )
        running.kill()
        running.communicate()
    assert replicating.dump(source, tmp_path).status == 0
    for wanted in (2, 7):
        running = replicating.start(
            'load', target.url, tmp_path, '--bandwidth=8M',
            f'--to-token={replicating.ADMIN}',
        )
        helpers.wait_until(
            lambda count=wanted: len(replicating.active(target)) >= count,
            f'{wanted} images', LIMIT,
        )
        running.kill()
        running.communicate()
    assert replicating.load(target, tmp_path).status == 0
    assert replicating.compare(source, target).status == 0


def test_a_dump_onto_a_full_disk_says_so_and_goes_on_later(clouds):
    source, _target = clouds
    replicating.small(Client(source), 3, size=2 * MIB)
    with filesystems.small(5 * MIB) as place:
        done = replicating.dump(source, place / 'dump', '--workers=1')
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
        done = replicating.dump(source, place / 'dump')
        assert done.by_image()[bad['Image']] == 'copied'
        assert len(in_list(place / 'dump')) == 3


def test_a_bad_image_keeps_no_other_from_being_loaded(cloud_b, tmp_path):
    good = '99999999-1111-4222-8333-abcdefabcde0'
    top = dumps.make(tmp_path / 'dump')
    other = dumps.make(tmp_path / 'other', dumps.GOOD, good)
    (other / 'images' / good).rename(top / 'images' / good)
    dumps.edit_list(top, lambda listed: listed['images'].update(
        in_list(other)
    ))
    (top / 'images' / dumps.IMAGE / 'data').write_bytes(
        b'x' * len(dumps.GOOD)
    )
    with replicating.emptied(cloud_b):
        done = replicating.load(cloud_b, top)
        assert done.status == 1
        assert done.by_image() == {dumps.IMAGE: 'failed', good: 'copied'}
        assert list(replicating.images(cloud_b)) == [good]
        # A filter leaves out what it does not mean, if that can be told.
        done = replicating.load(cloud_b, top, '--name=another')
        assert done.by_image() == {}, done


def test_a_directory_that_is_no_dump_is_one_sentence(cloud_b, tmp_path):
    for folder in (tmp_path, tmp_path / 'absent'):
        done = replicating.load(cloud_b, folder)
        assert done.status == 1
        assert len(done.err.strip().splitlines()) == 1, done
    assert not (tmp_path / 'absent').exists()
