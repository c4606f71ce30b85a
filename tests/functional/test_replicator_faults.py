# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate`` when something goes wrong: it ends right later."""

import pathlib
import random
import signal
import socket
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


@pytest.fixture
def clouds(cloud_a, cloud_b):
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


def begin(source, target, *more):
    return replicating.start(
        *replicating.arguments('livecopy', source, target), *more
    )


def active(target):
    return [
        image for image in replicating.images(target).values()
        if image['status'] == 'active' and replicating.MARK not in image
    ]


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


def test_it_is_killed_at_random_and_run_again_until_it_is_done(clouds):
    source, target = clouds
    client = Client(source)
    replicating.small(client, 200, size=20_000)
    replicating.small(client, 3, size=24 * MIB)
    dice = random.Random(20261122)  # noqa: S311 - not a secret
    for _round in range(6):
        before = len(active(target))
        running = begin(source, target, '--bandwidth=30M')
        more = dice.randint(1, 25)
        helpers.wait_until(
            lambda count=before + more, run=running:
                len(active(target)) >= count or run.poll() is not None,
            f'{more} more images',
        )
        running.kill()
        running.communicate()
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert_all_there(source, target)


def test_a_target_that_is_killed_gets_the_rest_later(clouds, cloud_b):
    source, target = clouds
    replicating.small(Client(source), 6, size=4 * MIB)
    running = begin(source, target, '--bandwidth=6M', '--workers=3')
    helpers.wait_until(lambda: active(target), 'the first image')
    try:
        target.kill()
        done = replicating.finish(running)
    finally:
        target.start()
    assert done.status == 1
    assert 'failed' in done.by_image().values()
    for row in done.rows:
        assert '\n' not in row['Detail']
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert_all_there(source, target)


def test_a_source_that_is_killed_for_a_while_is_waited_for(clouds):
    source, target = clouds
    replicating.small(Client(source), 4, size=4 * MIB)
    running = begin(source, target, '--bandwidth=4M', '--workers=2')
    helpers.wait_until(lambda: active(target), 'the first image')
    source.kill()
    source.start()
    done = replicating.finish(running)
    if done.status:
        done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert_all_there(source, target)


def test_a_target_that_fills_up_has_no_wrong_image(
    clouds, start_glance
):
    source, _target = clouds
    ids = replicating.small(Client(source), 4, size=4 * MIB)
    with filesystems.small(10 * MIB) as place:
        target = start_glance(
            'cloud-small', stores=('src',), store_dirs={'src': place}
        )
        done = replicating.livecopy(source, target, '--workers=1')
        assert done.status == 1
        results = done.by_image()
        assert sorted(results.values()) == [
            'copied', 'copied', 'failed', 'failed',
        ]
        for row in done.rows:
            if row['Result'] == 'failed':
                assert 'answers 413' in row['Detail'], row
        assert len(active(target)) == 2
        copied = [each for each in ids if results[each] == 'copied']
        Client(target).delete(copied[0])
        # There is room for one more now, and it gets the id it should have.
        done = replicating.livecopy(
            source, target, '--workers=1',
            *(f'--id={i}' for i in ids if i not in copied),
        )
        assert sorted(done.by_image().values()) == ['copied', 'failed']
        for image_id, what in done.by_image().items():
            if what == 'copied':
                replicating.assert_replicated(source, target, image_id)
        target.stop()


def test_a_target_that_is_full_early_says_so_too(
    clouds, start_glance
):
    source, _target = clouds
    image_id = Client(source).create_image(helpers.data(64 * MIB))
    with filesystems.small(2 * MIB) as place:
        target = start_glance(
            'cloud-full', stores=('src',), store_dirs={'src': place}
        )
        done = replicating.livecopy(source, target)
        assert done.by_image() == {image_id: 'failed'}
        assert 'answers 413' in done.rows[0]['Detail'], done
        target.stop()


def test_images_may_vanish_while_it_runs(clouds):
    source, target = clouds
    client = Client(source)
    slow = client.create_image(helpers.data(6 * MIB), name='first')
    source.execute(
        'UPDATE images SET created_at = :when WHERE id = :id',
        when='2026-01-01 00:00:00', id=slow,
    )
    gone, off, changed = replicating.small(client, 3)
    running = begin(source, target, '--bandwidth=2M', '--workers=1')
    helpers.wait_until(
        lambda: slow in replicating.images(target), 'the first image begun'
    )
    client.delete(gone)
    client.demand('POST', f'/images/{off}/actions/deactivate')
    client.patch(
        changed, {'op': 'replace', 'path': '/name', 'value': 'new'}
    )
    client.patch(slow, {'op': 'add', 'path': '/late', 'value': 'yes'})
    done = replicating.finish(running)
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
    image_id = client.create_image(helpers.data(6 * MIB))
    running = begin(source, target, '--bandwidth=2M')
    helpers.wait_until(
        lambda: replicating.images(target), 'a record on the target'
    )
    client.delete(image_id)
    done = replicating.finish(running)
    assert done.by_image() == {image_id: 'vanished'}
    assert done.status == 0
    assert replicating.images(target) == {}


class Behind:
    """A server as it is seen through a proxy."""

    def __init__(self, line):
        self.url = line.url


def test_what_is_spoiled_on_the_way_here_never_becomes_an_image(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(4 * MIB))
    with proxy.Proxy(source.port, way=proxy.DOWN, flip_at=2 * MIB) as line:
        done = replicating.livecopy(Behind(line), target)
        assert line.spoiled > 1
    assert done.status == 1
    assert 'another sha512 than the image' in done.rows[0]['Detail']
    assert active(target) == []
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'copied'}
    replicating.assert_replicated(source, target, image_id)


def test_what_is_spoiled_once_is_sent_again(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(4 * MIB))
    with proxy.Proxy(
        source.port, way=proxy.DOWN, flip_at=2 * MIB, times=1
    ) as line:
        done = replicating.livecopy(Behind(line), target)
        assert line.spoiled == 1
    assert done.status == 0, done
    replicating.assert_replicated(source, target, image_id)


def test_what_is_spoiled_on_the_way_to_the_target_is_removed_there(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data(4 * MIB))
    with proxy.Proxy(target.port, way=proxy.UP, flip_at=2 * MIB) as line:
        done = replicating.livecopy(source, Behind(line))
        assert line.spoiled > 1
    assert done.status == 1
    assert 'are others' in done.rows[0]['Detail'], done
    assert active(target) == []
    assert replicating.livecopy(source, target).status == 0
    assert_all_there(source, target)


def test_a_broken_connection_goes_on_where_it_broke(clouds):
    source, target = clouds
    size = 8 * MIB
    image_id = Client(source).create_image(helpers.data(size))
    with proxy.Proxy(
        source.port, way=proxy.DOWN, cut_at=5 * MIB, times=1
    ) as line:
        done = replicating.livecopy(Behind(line), target)
        assert line.spoiled == 1
        # Had it begun again, 5 MiB would have come twice.
        assert line.passed < size + 3 * MIB
    assert done.status == 0, done
    replicating.assert_replicated(source, target, image_id)


def test_a_connection_to_the_target_that_breaks_is_made_again(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(4 * MIB))
    with proxy.Proxy(
        target.port, way=proxy.UP, cut_at=2 * MIB, times=1
    ) as line:
        done = replicating.livecopy(source, Behind(line))
        assert line.spoiled == 1
    assert done.status == 0, done
    replicating.assert_replicated(source, target, image_id)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_it_tells_how_to_go_on(clouds, number):
    source, target = clouds
    ids = replicating.small(Client(source), 4, size=2 * MIB)
    running = begin(source, target, '--bandwidth=2M', '--workers=2')
    helpers.wait_until(lambda: active(target), 'the first image')
    running.send_signal(number)
    done = replicating.finish(running, timeout=20)
    assert done.status == 130
    assert 'run the same command again to go on' in done.err
    assert sorted(done.by_image()) == sorted(ids)
    assert 'not done' in done.by_image().values()
    assert replicating.livecopy(source, target).status == 0
    assert_all_there(source, target)


def test_two_runs_at_once_do_not_hurt_each_other(clouds):
    source, target = clouds
    replicating.small(Client(source), 6, size=MIB)
    first = begin(source, target, '--bandwidth=3M')
    second = begin(source, target, '--bandwidth=3M')
    for running in (first, second):
        replicating.finish(running)
    assert replicating.livecopy(source, target).status == 0
    assert_all_there(source, target)


def unfinished(target, source, image_id, host):
    """Make what a process of some host has left of a copy."""
    client = Client(target)
    client.new_image(id=image_id, **{
        replicating.MARK: f'{image_id} {host} 4194305 5'
    })
    return client


def test_what_another_machine_has_begun_is_left_alone_until_told(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    unfinished(target, source, image_id, 'elsewhere')
    done = replicating.livecopy(source, target)
    assert done.status == 1
    assert 'the machine elsewhere' in done.rows[0]['Detail']
    assert '--redo-unfinished' in done.rows[0]['Detail']
    compared = replicating.compare(source, target)
    assert compared.rows[0]['Difference'] == 'unfinished'
    done = replicating.livecopy(source, target, '--redo-unfinished')
    assert done.status == 0, done
    replicating.assert_replicated(source, target, image_id)


def test_wrong_data_that_a_dead_process_has_left_are_replaced(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    client = unfinished(target, source, image_id, socket.gethostname())
    client.upload(image_id, helpers.data())
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert_all_there(source, target)


def test_right_data_that_a_dead_process_has_left_are_completed(clouds):
    source, target = clouds
    content = helpers.data()
    image_id = Client(source).create_image(content, name='right', kind='x')
    client = unfinished(target, source, image_id, socket.gethostname())
    client.upload(image_id, content)
    before = client.locations(image_id)
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert client.locations(image_id) == before
    replicating.assert_replicated(source, target, image_id)


def test_a_server_that_is_not_there_is_one_sentence(cloud_b):
    done = replicating.run(
        'livecopy', '127.0.0.1:9', cloud_b.url,
        f'--to-token={replicating.ADMIN}',
    )
    assert done.status == 1
    assert len(done.err.strip().splitlines()) == 1, done


SECRET = 'mallory:sesame-opens:admin,member,reader'


@pytest.mark.parametrize('flags', [(), ('-vv', '--debug')])
def test_a_token_is_seen_nowhere(clouds, tmp_path, flags):
    source, target = clouds
    replicating.small(Client(source), 2, size=2 * MIB)
    log = tmp_path / 'log'
    running = replicating.start(
        *flags, '--log-file', log,
        *replicating.arguments('livecopy', source, target, token=SECRET),
        '--bandwidth=1M',
    )
    helpers.wait_until(lambda: replicating.images(target), 'an image begun')
    assert SECRET not in ' '.join(psutil.Process(running.pid).cmdline())
    done = replicating.finish(running)
    assert done.status == 0, done
    for text in (done.out, done.err, pathlib.Path(log).read_text()):
        assert SECRET not in text
        assert urllib.parse.quote(SECRET) not in text


def test_a_token_comes_from_a_file_or_a_variable(clouds, tmp_path):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    path = tmp_path / 'token'
    path.write_text(f'{replicating.ADMIN}\n')
    done = replicating.run(
        'livecopy', source.url, target.url, '--from-token-file', path,
        GLANCE_REPLICATE_TO_TOKEN=replicating.ADMIN,
    )
    assert done.by_image() == {image_id: 'copied'}, done


def test_nobody_else_sees_an_image_before_it_is_whole(clouds):
    source, target = clouds
    image_id = Client(source).create_image(
        helpers.data(4 * MIB), visibility='public', protected=True
    )
    running = begin(source, target, '--bandwidth=2M')
    (image,) = helpers.wait_until(
        lambda: list(replicating.images(target).values()), 'a record'
    )
    assert image['status'] in ('queued', 'saving')
    assert (image['visibility'], image['protected']) == ('private', False)
    assert replicating.MARK in image
    assert replicating.finish(running).status == 0
    replicating.assert_replicated(source, target, image_id)


def test_an_image_that_is_deleted_cannot_be_read_on_and_leaves_nothing(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(8 * MIB))
    with proxy.Proxy(
        source.port, way=proxy.DOWN, cut_at=6 * MIB, times=1
    ) as line:
        running = begin(Behind(line), target, '--bandwidth=1M')
        helpers.wait_until(
            lambda: line.passed > MIB, 'the first bytes of the image'
        )
        client.delete(image_id)
        done = replicating.finish(running)
        assert line.spoiled == 1
    assert done.by_image() == {image_id: 'vanished'}
    assert replicating.images(target) == {}
