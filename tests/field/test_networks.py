# SPDX-License-Identifier: Apache-2.0

"""Networks and servers that failed users of the replicator for a while."""

import socket
import sys

from openstackclient import shell
import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import image_api
from tests.parts import proxy

pytestmark = pytest.mark.functional

LIMIT = 120  # seconds for what has to come
DATA = b'the bytes of an image'
DEAD = 4194305  # no process has this number


@pytest.fixture
def sides():
    """Two small Image services, whose network fails as a test likes."""
    with image_api.ImageApi() as source, image_api.ImageApi() as target:
        yield source, target


# Connections.

@pytest.mark.parametrize('command', ['livecopy', 'dump'])
def test_one_lost_connection_failed_an_image_whose_store_cannot_seek(
    clouds, source, tmp_path, command
):
    """Of a store such as http Glance refuses to send the rest alone."""
    here, there = clouds
    content = helpers.data(8 * MIB)
    image_id = Client(here).create_image(content)
    helpers.move(here, image_id, 'src', source.offer(content).url)
    with proxy.Proxy(here.port, cut_at=5 * MIB, times=1) as line:
        if command == 'dump':
            done = replicating.dump(line, tmp_path)
        else:
            done = replicating.livecopy(line, there)
        assert line.spoiled == 1
    assert done.status == 0, done
    assert done.by_image() == {image_id: 'copied'}
    if command == 'dump':
        path = tmp_path / 'images' / image_id / 'data'
        assert path.read_bytes() == content
    else:
        assert Client(there).download(image_id) == content


def test_a_server_that_ignores_where_to_begin_gave_wrong_bytes(sides):
    source, target = sides
    data = bytes(range(256)) * (3 * MIB // 256)
    image_id = source.add(data)
    source.on('GET', 'file', (200, data, 2 * MIB))
    source.on('GET', 'file', (200, data))
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert target.data == {image_id: data}


# Servers that are away, or busy.

def test_copies_were_called_failed_while_a_server_was_restarted(
    clouds, source
):
    """The copy itself went on, and succeeded."""
    cloud, _other = clouds
    client = Client(cloud)
    image_id, offer = helpers.held_image(cloud, client, source)
    access = ('--server', cloud.url, '--token', replicating.ADMIN)
    filling = replicating.begin('fill', 's1', *access)
    assert offer.reached.wait(LIMIT)
    watching = replicating.start('watch', image_id, *access)
    copying = replicating.start(
        'image', 'copy', image_id, '--store', 's1', '--wait', *access,
        command=(sys.executable, '-m', shell.__name__),
        OS_AUTH_TYPE='none', OS_ENDPOINT=cloud.url,
    )
    cloud.kill()
    try:
        helpers.wait_until(
            lambda: 'trying again' in filling.err or filling.has_ended,
            'a sentence about the server', LIMIT,
        )
        assert not filling.has_ended, filling.err
        offer.release()
    finally:
        cloud.start()
    for done in (
        filling.finish(), replicating.finish(watching),
        replicating.finish(copying),
    ):
        assert done.status == 0, done
    helpers.assert_copied(cloud, client, image_id, ['s1'])


def test_a_dump_lost_its_image_while_a_server_was_restarted(
    clouds, tmp_path
):
    cloud, _other = clouds
    content = helpers.data(3 * MIB)
    image_id = Client(cloud).create_image(content)
    with proxy.Proxy(cloud.port, hold_at=MIB) as line:
        running = replicating.begin(
            'dump', line.url, tmp_path, f'--from-token={replicating.ADMIN}'
        )
        assert line.held.wait(LIMIT)
        cloud.kill()
        try:
            line.release()
            helpers.wait_until(
                lambda: 'trying again' in running.err or running.has_ended,
                'a sentence about the server', LIMIT,
            )
        finally:
            cloud.start()
        done = running.finish()
    assert done.status == 0, done
    path = tmp_path / 'images' / image_id / 'data'
    assert path.read_bytes() == content


@pytest.mark.parametrize('status', [429, 503])
def test_images_failed_as_a_cloud_asked_to_come_back_in_a_second(
    sides, tmp_path, status
):
    source, target = sides
    busy = status, {'message': 'busy'}, {'Retry-After': '1'}
    image_id = source.add(DATA)
    for side, method, path in (
        (source, 'GET', 'file'), (target, 'POST', 'images'),
        (target, 'PUT', 'file'),
    ):
        side.on(method, path, busy, times=2)
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'copied'}, done
    assert 'trying again in 0:00:01, as the server asks' in done.err
    source.on('GET', 'file', busy, times=2)
    done = replicating.dump(source, tmp_path)
    assert done.by_image() == {image_id: 'copied'}, done


def test_nobody_was_told_how_long_a_cloud_had_been_tried(sides):
    source, target = sides
    image_id = source.add(DATA)
    target.on('PUT', 'file', (500, {'message': 'broken'}), times=9)
    done = replicating.livecopy(
        source, target, '--retries=1', '--timeout=60'
    )
    assert done.by_image() == {image_id: 'failed'}
    assert 'gave up after 2 attempts in 0:00:0' in done.rows[0]['Detail']


# Uploads.

def test_a_proxy_that_wants_to_know_the_length_refused_every_upload(sides):
    source, target = sides
    for size in (0, 1, 3 * MIB):
        source.add(b'x' * size)

    def insist():
        if 'Content-Length' not in target.headers[-1]:
            return 411, {'message': 'Length Required'}

    target.on('PUT', 'file', insist, times=9)
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert target.data == source.data


def test_an_upload_that_a_proxy_gave_up_was_sent_three_times(sides):
    """The target went on with it, and was told to delete it."""
    source, target = sides
    image_id = source.add(DATA)

    def give_up():
        target.images[image_id]['status'] = 'saving'
        target.on('GET', image_id, store, times=9)
        return 504, '<h1>Gateway Time-out</h1>'

    def store():
        if target.count('GET', f'/{image_id}$') > 6:
            target.fill(image_id, DATA)

    target.on('PUT', 'file', give_up)
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'copied'}, done
    assert done.rows[0]['Copy'] == ''
    assert target.count('PUT', 'file') == 1
    assert target.count('DELETE', '') == 0
    assert f'image {image_id} is saving; waiting' in done.err


# Records that were left.

def signed(client):
    """Make an image whose signature no other cloud can verify."""
    image_id = client.create_image(helpers.data(1000))
    client.patch(image_id, *(
        {'op': 'add', 'path': f'/{name}', 'value': value}
        for name, value in SIGNATURE.items()
    ))
    return image_id


SIGNATURE = {
    'img_signature': 'eA==',
    'img_signature_hash_method': 'SHA-256',
    'img_signature_key_type': 'RSA-PSS',
    'img_signature_certificate_uuid': '11111111-2222-4333-8444-555555555555',
}


def test_a_refused_image_left_a_queued_record_behind(clouds):
    source, target = clouds
    image_id = signed(Client(source))
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'failed'}
    assert 'ignature' in done.rows[0]['Detail'], done
    assert replicating.images(target) == {}
    done = replicating.livecopy(
        source, target, '--drop-property', 'img_signature*'
    )
    assert done.by_image() == {image_id: 'copied'}, done


def test_an_unfinished_image_was_refused_for_properties_of_an_earlier_run(
    clouds
):
    source, target = clouds
    image_id = signed(Client(source))
    Client(target).new_image(
        id=image_id, old='x', **SIGNATURE,
        **{replicating.MARK: f'{image_id} {socket.gethostname()} {DEAD} 5'},
    )
    done = replicating.livecopy(
        source, target, '--drop-property', 'img_signature*'
    )
    assert done.by_image() == {image_id: 'copied'}, done
    replicating.assert_replicated(source, target, image_id, but=SIGNATURE)
