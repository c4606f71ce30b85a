# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate`` when something goes wrong: it ends right later."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import urllib.parse

import psutil
import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import filesystems
from tests.parts import proxy

pytestmark = pytest.mark.functional

LIMIT = 120  # seconds for what has to come
SECRET = 'mallory:sesame-opens:admin,member,reader'


@pytest.fixture
def held(clouds):
    """The source behind a line on which each image stops after a MiB."""
    source, _target = clouds
    with proxy.Proxy(source.port, hold_at=MIB) as line:
        yield line


def begin(source, target, *more):
    """Begin a livecopy in this process."""
    return replicating.begin(
        *replicating.arguments('livecopy', source, target), *more
    )


def start(source, target, *more):
    """Begin a livecopy in a process of its own."""
    return replicating.start(
        *replicating.arguments('livecopy', source, target), *more
    )


def assert_all_there(source, target):
    """Each image of the source is on the target once, and nothing else."""
    done = replicating.compare(source, target)
    assert (done.status, done.rows) == (0, []), done
    wanted = sorted(
        image['os_hash_value'] for image in replicating.images(source).values()
    )
    found = sorted(
        image['os_hash_value'] for image in replicating.images(target).values()
    )
    assert found == wanted


@pytest.mark.long
@pytest.mark.parametrize('which', ['source', 'target'])
def test_a_cloud_that_is_killed_gives_or_gets_the_rest_later(
    clouds, held, which
):
    source, target = clouds
    replicating.small(Client(source), 4, size=2 * MIB)
    running = begin(held, target, '--workers=2', '--retries=1')
    assert held.held.wait(LIMIT)
    killed = source if which == 'source' else target
    killed.kill()
    try:
        held.release()
        done = running.finish()
    finally:
        killed.start()
    assert done.status == 1
    assert 'failed' in done.by_image().values()
    for row in done.rows:
        assert '\n' not in row['Detail']
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert_all_there(source, target)


def test_a_target_that_fills_up_has_no_wrong_image(clouds):
    source, target = clouds
    ids = replicating.small(Client(source), 3, size=2 * MIB)
    with (
        filesystems.small(3 * MIB, target.places['s3']),
        replicating.emptied(target),
    ):
        done = replicating.livecopy(
            source, target, '--workers=1', '--store=s3'
        )
        assert done.status == 1
        results = done.by_image()
        assert sorted(results.values()) == ['copied', 'failed', 'failed']
        assert len(replicating.active(target)) == 1
        (copied,) = [each for each in ids if results[each] == 'copied']
        Client(target).delete(copied)
        # There is room for one more now, and it gets the id it should have.
        done = replicating.livecopy(
            source, target, '--workers=1', '--store=s3',
            *(f'--id={i}' for i in ids if i != copied),
        )
        assert sorted(done.by_image().values()) == ['copied', 'failed']
        for image_id, what in done.by_image().items():
            if what == 'copied':
                replicating.assert_replicated(source, target, image_id)


def test_images_may_vanish_while_it_runs(clouds, held):
    source, target = clouds
    client = Client(source)
    slow = client.create_image(helpers.data(3 * MIB), name='first')
    source.execute(
        'UPDATE images SET created_at = :when WHERE id = :id',
        when='2026-01-01 00:00:00', id=slow,
    )
    gone, off, changed = replicating.small(client, 3)
    running = begin(held, target, '--workers=1')
    assert held.held.wait(LIMIT)
    client.delete(gone)
    client.demand('POST', f'/images/{off}/actions/deactivate')
    client.patch(
        changed, {'op': 'replace', 'path': '/name', 'value': 'new'}
    )
    client.patch(slow, {'op': 'add', 'path': '/late', 'value': 'yes'})
    held.release()
    done = running.finish()
    assert done.status == 0, done
    assert done.by_image() == {
        slow: 'copied', gone: 'vanished', off: 'vanished', changed: 'copied',
    }
    assert Client(target).image(changed)['name'] == 'new'
    assert Client(target).image(slow)['late'] == 'yes'
    assert sorted(replicating.images(target)) == sorted([slow, changed])


def test_an_image_that_is_deleted_while_it_is_copied_leaves_nothing(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(4 * MIB))
    with proxy.Proxy(
        source.port, hold_at=MIB, cut_at=2 * MIB, times=1
    ) as line:
        running = begin(line, target)
        assert line.held.wait(LIMIT)
        client.delete(image_id)
        line.release()
        done = running.finish()
        # Where it breaks, it cannot be read on.
        assert line.spoiled == 1
    assert done.by_image() == {image_id: 'vanished'}
    assert done.status == 0
    assert replicating.images(target) == {}


def test_what_is_spoiled_on_the_way_here_never_becomes_an_image(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data(2 * MIB))
    with proxy.Proxy(source.port, flip_at=MIB) as line:
        done = replicating.livecopy(line, target)
        assert line.spoiled > 1
    assert done.status == 1
    assert 'the sha512 of the bytes that' in done.rows[0]['Detail']
    assert replicating.active(target) == []


def test_connections_that_break_are_made_again(clouds):
    source, target = clouds
    size = 8 * MIB
    image_id = Client(source).create_image(helpers.data(size))
    with proxy.Proxy(source.port, cut_at=5 * MIB, times=1) as line:
        done = replicating.livecopy(line, target)
        assert line.spoiled == 1
        # Had it begun again, 5 MiB would have come twice.
        assert line.passed < size + 3 * MIB
    assert done.status == 0, done
    replicating.assert_replicated(source, target, image_id)
    # To the target an image is sent from its beginning.
    other = Client(source).create_image(helpers.data(4 * MIB))
    with proxy.Proxy(
        target.port, way=proxy.UP, cut_at=2 * MIB, times=1
    ) as line:
        done = replicating.livecopy(source, line)
        assert line.spoiled == 1
    assert done.status == 0, done
    replicating.assert_replicated(source, target, other)


def test_a_signal_stops_it_and_it_tells_how_to_go_on(clouds):
    source, target = clouds
    ids = replicating.small(Client(source), 3, size=2 * MIB)
    # With that bandwidth it would take an hour.
    running = start(source, target, '--bandwidth=1K', '--workers=2')
    helpers.wait_until(lambda: replicating.images(target), 'one', LIMIT)
    running.send_signal(signal.SIGINT)
    done = replicating.finish(running)
    assert done.status == 130
    assert 'run the same command again to go on' in done.err
    assert done.by_image() == dict.fromkeys(ids, 'not done')
    assert replicating.livecopy(source, target).status == 0
    assert_all_there(source, target)


def test_a_second_run_does_not_hurt_the_first_and_takes_over_once_it_is_dead(
    clouds, held
):
    source, target = clouds
    client = Client(source)
    ids = replicating.small(client, 2)
    large = client.create_image(
        helpers.data(3 * MIB), visibility='public', protected=True
    )
    running = start(held, target)
    assert held.held.wait(LIMIT)
    helpers.wait_until(lambda: len(replicating.active(target)) == 2, 'two')
    # Nobody else sees an image before it is whole.
    image = Client(target).image(large)
    assert image['status'] in ('queued', 'saving')
    assert (image['visibility'], image['protected']) == ('private', False)
    assert replicating.MARK in image
    same = dict.fromkeys(ids, 'same')
    done = replicating.livecopy(source, target)
    assert done.by_image() == {large: 'failed', **same}
    assert f'process {running.pid} on this machine' in str(done.rows)
    running.kill()
    running.communicate()
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert done.by_image() == {large: 'copied', **same}
    assert_all_there(source, target)


def test_a_token_is_seen_nowhere(clouds, held, tmp_path):
    source, target = clouds
    Client(source).create_image(helpers.data(2 * MIB))
    log = tmp_path / 'log'
    running = replicating.start(
        '-vv', '--debug', '--log-file', log,
        *replicating.arguments('livecopy', held, target, token=SECRET),
    )
    assert held.held.wait(LIMIT)
    assert SECRET not in ' '.join(psutil.Process(running.pid).cmdline())
    held.release()
    done = replicating.finish(running)
    assert done.status == 0, done
    for text in (done.out, done.err, pathlib.Path(log).read_text()):
        assert SECRET not in text
        assert urllib.parse.quote(SECRET) not in text


# Dumps.

def in_list(folder):
    path = folder / 'manifest.json'
    return json.loads(path.read_text())['images'] if path.exists() else {}


def test_a_dump_that_is_killed_goes_on_and_is_loaded(clouds, held, tmp_path):
    source, target = clouds
    client = Client(source)
    ids = [
        client.create_image(b'', visibility='shared'),
        client.create_image(
            helpers.data(1000), name='Größe\n2', tags=['a'], os_hidden=True,
            visibility='public', protected=True, kind='x\ty',
        ),
        client.create_image(helpers.data(3 * MIB)),
    ]
    client.demand(
        'POST', f'/images/{ids[0]}/members', json={'member': 'friend'}
    )
    folder = tmp_path / 'dump'
    done = replicating.dump(source, folder, '--dry-run')
    assert done.by_image() == dict.fromkeys(ids, 'would copy')
    assert not folder.exists()
    running = replicating.start(
        'dump', held.url, folder, f'--from-token={replicating.ADMIN}',
        '--members',
    )
    assert held.held.wait(LIMIT)
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
    done = replicating.dump(source, folder, '--members')
    assert done.status == 0, done
    assert sorted(done.by_image().values()) == ['copied', 'same', 'same']
    assert sorted(in_list(folder)) == sorted(ids)
    assert sorted(os.listdir(folder / 'images')) == sorted(ids)
    for what in ('copied', 'same'):
        done = replicating.load(target, folder, '--members')
        assert done.status == 0, done
        assert done.by_image() == dict.fromkeys(ids, what)
    for image_id in ids:
        replicating.assert_replicated(source, target, image_id)
    assert replicating.members(target, ids[0]) == ['friend']


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
