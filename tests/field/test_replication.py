# SPDX-License-Identifier: Apache-2.0

"""Images that could not be brought to another cloud, or lost something."""

import hashlib
import json
import pathlib

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.parts import dumps
from tests.parts import proxy

pytestmark = pytest.mark.functional

POLICY = 'cinder_encryption_key_deletion_policy'
KEPT = '--keep-key-deletion-policy'


def encrypted(server, key):
    """Make an image of an encrypted volume; return its id."""
    return Client(server).create_image(
        helpers.data(2 * MIB), cinder_encryption_key_id=key,
        **{POLICY: 'on_image_deletion'},
    )


def has_deleted_key(server, key):
    """True if a server has tried to delete an encryption key."""
    return f'encryption key {key}' in server.log.read_text(errors='replace')


@pytest.mark.parametrize('more', [(), (KEPT,)], ids=['', 'asked for'])
def test_a_bit_that_flipped_on_the_way_destroyed_the_key_of_the_original(
    clouds, more
):
    source, target = clouds
    key = f'the-key-{len(more)}'
    image_id = encrypted(source, key)
    with proxy.Proxy(
        target.port, way=proxy.UP, flip_at=MIB, times=1
    ) as line:
        done = replicating.livecopy(source, line, *more)
        assert line.spoiled
    assert done.status == 0, done
    assert not has_deleted_key(target, key)
    (row,) = done.rows
    assert (row['Image'], row['Result']) == (image_id, 'copied')
    assert f'key {key} is not copied' in row['Detail']
    copy = Client(target).image(row['Copy'] or image_id)
    assert copy['cinder_encryption_key_id'] == key
    assert copy.get(POLICY) == ('on_image_deletion' if more else None)
    done = replicating.livecopy(source, target, *more)
    assert done.by_image() == {image_id: 'same'}
    # Whoever deletes the copy deletes the key only if that was asked for.
    Client(target).delete(copy['id'])
    assert has_deleted_key(target, key) is bool(more)


def test_a_copy_of_an_image_that_was_deactivated_took_the_key_with_it(clouds):
    source, target = clouds
    image_id = encrypted(source, 'another-key')
    with proxy.Proxy(source.port, hold_at=MIB) as line:
        running = replicating.begin(
            *replicating.arguments('livecopy', line, target)
        )
        assert line.held.wait(120)
        Client(source).demand('POST', f'/images/{image_id}/actions/deactivate')
        line.release()
        assert running.finish().by_image() == {image_id: 'vanished'}
    assert replicating.images(target) == {}
    assert not has_deleted_key(target, 'another-key')


HASHES = ('checksum', 'os_hash_algo', 'os_hash_value')


def forget_hashes(server, image_id):
    """Let an image be as one that was registered by its location."""
    server.execute(
        'UPDATE images SET checksum = NULL, os_hash_algo = NULL, '
        'os_hash_value = NULL WHERE id = :id', id=image_id,
    )


def test_an_image_without_a_hash_was_sent_three_times_and_called_wrong(
    clouds, tmp_path
):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(2 * MIB), kind='old')
    forget_hashes(source, image_id)
    with proxy.Proxy(target.port, way=proxy.UP) as line:
        done = replicating.livecopy(source, line)
        assert line.passed < 3 * MIB
    assert done.by_image() == {image_id: 'copied'}, done
    assert 'it has no hash' in done.rows[0]['Detail']
    replicating.assert_replicated(source, target, image_id, but=HASHES)
    for what in ('same', 'updated'):
        if what == 'updated':
            Client(source).patch(
                image_id, {'op': 'replace', 'path': '/kind', 'value': 'new'}
            )
        done = replicating.livecopy(source, target)
        assert done.by_image() == {image_id: what}, done
    done = replicating.compare(source, target)
    assert (done.status, done.rows) == (0, [])
    assert image_id in done.err
    for what in ('copied', 'same'):
        done = replicating.dump(source, tmp_path)
        assert done.by_image() == {image_id: what}, done
    done = replicating.load(target, tmp_path)
    assert done.by_image() == {image_id: 'same'}, done


def test_an_image_with_a_hash_of_another_kind_was_called_wrong(clouds):
    source, target = clouds
    data = helpers.data()
    ids = [Client(source).create_image(data) for _each in range(2)]
    source.execute(
        "UPDATE images SET checksum = NULL, os_hash_algo = 'sha256', "
        'os_hash_value = :value WHERE id = :id', id=ids[0],
        value=hashlib.sha256(data).hexdigest(),
    )
    source.execute(
        "UPDATE images SET checksum = NULL, os_hash_algo = 'sha256', "
        'os_hash_value = :value WHERE id = :id', id=ids[1],
        value=hashlib.sha256(b'other').hexdigest(),
    )
    done = replicating.livecopy(source, target)
    assert done.by_image() == {ids[0]: 'copied', ids[1]: 'failed'}
    assert [image['id'] for image in replicating.active(target)] == ids[:1]
    done = replicating.livecopy(source, target, f'--id={ids[0]}')
    assert done.by_image() == {ids[0]: 'same'}


def test_one_image_without_a_size_kept_all_images_from_being_copied(
    clouds, tmp_path
):
    source, target = clouds
    client = Client(source)
    odd, good = replicating.small(client, 2)
    source.execute('UPDATE images SET size = NULL WHERE id = :id', id=odd)
    # Below gunicorn, Glance itself answers 500 to who reads such an image.
    is_sent = client.request('GET', f'/images/{odd}/file').ok
    for what in ('copied', 'same'):
        for done in (
            replicating.livecopy(source, target),
            replicating.dump(source, tmp_path),
        ):
            assert done.by_image() == {
                odd: what if is_sent else 'failed', good: what,
            }, done
    if is_sent:
        replicating.assert_replicated(source, target, odd, but=['size'])
        assert replicating.compare(source, target).status == 0
        data = tmp_path / 'images' / odd / 'data'
        assert data.read_bytes() == client.download(odd)
    done = replicating.here(*replicating.arguments('size', source))
    assert (done.status, done.rows[0]['Bytes']) == (0, MIB // 8)
    assert 'does not know the size of 1' in done.err
    for more, what in (('--dry-run',), 'would copy'), ((), 'copied'):
        done = replicating.on(source, 'fill', 's1', *more)
        assert done.by_image()[good] == what, done


# One of each kind that Glance accepts.
TEXTS = (
    'x' * 70000, '\x7f\x85\x9b31m', '\x0c', '\xa0', '\u3000', '\ufeff',
    '\ue000', '\x1b[2J', '../../etc/passwd', '\u202e', '',
)


def test_what_dump_had_written_was_refused_by_load(clouds, tmp_path):
    source, target = clouds
    client = Client(source)
    texts = {f'p{number}': value for number, value in enumerate(TEXTS)}
    names = {f'{value[:9]}': 'x' for value in TEXTS}
    image_id = client.create_image(
        helpers.data(1000), name=''.join(TEXTS[1:]), tags=list(names),
        kernel_id=None, **texts, **names,
    )
    done = replicating.dump(source, tmp_path)
    assert (done.status, done.by_image()) == (0, {image_id: 'copied'})
    assert_harmless(done)
    done = replicating.load(target, tmp_path)
    assert (done.status, done.by_image()) == (0, {image_id: 'copied'}), done
    assert_harmless(done)
    replicating.assert_replicated(source, target, image_id, but=['kernel_id'])
    assert 'no empty value for kernel_id' in done.rows[0]['Detail']
    for done in (
        replicating.load(target, tmp_path),
        replicating.livecopy(source, target),
    ):
        assert done.by_image() == {image_id: 'same'}, done
    # Where such a value is taken, it is brought back.
    client.delete(image_id)
    (row,) = replicating.load(source, tmp_path).rows
    assert client.image(row['Copy'])['kernel_id'] is None


def assert_harmless(done):
    """Nothing that was shown does something to a terminal."""
    for text in (done.out, done.err):
        assert text.replace('\n', '').isprintable()


def test_a_property_without_a_value_kept_an_image_from_being_copied(clouds):
    source, target = clouds
    image_id = Client(source).create_image(
        helpers.data(1000), ramdisk_id=None
    )
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'copied'}, done
    assert 'no empty value for ramdisk_id' in done.rows[0]['Detail']
    assert 'ramdisk_id' in done.err
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'same'}


def test_one_image_could_not_be_loaded_as_another_was_damaged(
    cloud_b, tmp_path
):
    good = '99999999-1111-4222-8333-abcdefabcde0'
    top = dumps.make(tmp_path / 'dump', image_id=good)
    bad = dumps.make(tmp_path / 'bad')
    (bad / 'images' / dumps.IMAGE).rename(top / 'images' / dumps.IMAGE)
    listed = json.loads((bad / 'manifest.json').read_text())['images']
    dumps.edit_list(top, lambda found: found['images'].update(listed))
    (top / 'images' / dumps.IMAGE / 'image.json').write_bytes(b'{}')
    with replicating.emptied(cloud_b):
        done = replicating.load(cloud_b, top, f'--id={good}')
        assert (done.status, done.by_image()) == (0, {good: 'copied'}), done
        done = replicating.load(cloud_b, top)
        assert done.by_image() == {good: 'same', dumps.IMAGE: 'failed'}


def test_a_dump_of_no_images_could_not_be_loaded(clouds, tmp_path):
    source, target = clouds
    folder = tmp_path / 'dump'
    done = replicating.dump(source, folder)
    assert (done.status, done.rows) == (0, [])
    assert f'{source.url} has no active image.' in done.err
    done = replicating.load(target, folder)
    assert (done.status, done.rows) == (0, [])
    assert f'{folder} has no active image.' in done.err


def test_a_dump_of_the_old_replicator_was_not_recognised(cloud_b, tmp_path):
    (tmp_path / dumps.IMAGE).write_text('{"id": "x", "status": "active"}')
    (tmp_path / f'{dumps.IMAGE}.img').write_bytes(b'data')
    done = replicating.load(cloud_b, tmp_path)
    assert done.status == 1
    assert 'a dump of the old glance-replicator' in done.err
    assert len(done.err.strip().splitlines()) == 1, done


def test_an_image_that_is_mostly_empty_filled_the_disk_of_its_dump(
    clouds, tmp_path
):
    source, target = clouds
    data = tmp_path / 'image'
    with open(data, 'wb') as stream:
        stream.seek(7 * MIB + 5)
        stream.write(helpers.data())
        stream.truncate(64 * MIB + 1)
    image_id = Client(source).create_image(data)
    assert replicating.dump(source, tmp_path / 'dump').status == 0
    dumped = pathlib.Path(tmp_path / 'dump' / 'images' / image_id / 'data')
    found = dumped.stat()
    assert found.st_size == 64 * MIB + 1
    assert found.st_blocks * 512 < 2 * MIB
    done = replicating.load(target, tmp_path / 'dump')
    assert done.by_image() == {image_id: 'copied'}
    replicating.assert_replicated(source, target, image_id)
