# SPDX-License-Identifier: Apache-2.0

"""Directories that claim to be dumps: none of them is believed."""

import hashlib
import json
import os
import shutil

import pytest

from glance_copy_plugin.replicator import dumped
from glance_copy_plugin.replicator import dumping
from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import folders
from glance_copy_plugin.replicator import loading
from glance_copy_plugin.replicator import manifest
from glance_copy_plugin.replicator import records
from glance_copy_plugin.replicator import text
from glance_copy_plugin.transfer import cancel
from glance_copy_plugin.transfer import limits
from tests.parts import dumps

IMAGE = dumps.IMAGE
GOOD = dumps.GOOD

# One of each kind of nonsense.
NOT_SIZES = (-1, 2 ** 63, True, '5', 5.0)
NOT_WORDS = ('', 'a\nb', 'x' * 256, 7, '\u202e')
NOT_TEXTS = ('a\x1bb', 'x' * 65536, None, [], '\x9b31m')
NOT_IDS = (
    '..', '', '../../etc', '/etc/passwd', f'{IMAGE}/..', f'{IMAGE}\n',
    IMAGE[:-1], f'.{IMAGE}.part', IMAGE.replace('a', 'ä'),
    '\u0661' + IMAGE[1:],
)
NOT_DIGESTS = (None, 'g' * 128, 'A' * 128, '0' * 127, '\u0660' * 128)
NOT_ALGORITHMS = (None, '', 'shake_128', 'sha256', 'sha512\n', ['sha512'])
NOT_JSON = (
    b'', b'[]', b'\xff\xfe', b'{"a": NaN}', b'{"a": 1.5}', b'[' * 200000,
    b'{"a": ' + b'9' * 5000 + b'}', b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}',
    b'{"a": 1} x', b'\xef\xbb\xbf{}',
)


def entry(**changes):
    """Return a case that changes the entry of the image in the list."""
    def apply(top):
        dumps.edit_list(top, lambda found: found['images'][IMAGE].update(
            changes
        ))
    return apply


def listed(edit):
    """Return a case that edits the list."""
    return lambda top: dumps.edit_list(top, edit)


def record(edit):
    """Return a case that edits the record, and tells its right hash."""
    return lambda top: dumps.edit_record(top, edit)


def field(name, value):
    return record(lambda found: found.update({name: value}))


def base(name, value):
    return record(lambda found: found['base'].update({name: value}))


def properties(value):
    return field('properties', value)


def raw(name, data):
    """Return a case that writes these bytes instead of a file."""
    def apply(top):
        if name == manifest.METADATA:
            dumps.write_record(top, data)
        else:
            (top / name).write_bytes(data)
    return apply


def instead(name, make):
    """Return a case that has something else in the place of a file."""
    def apply(top):
        place = top / name
        outside = top.parent / 'outside'
        if place.is_dir():
            shutil.copytree(place, outside)
            shutil.rmtree(place)
        else:
            shutil.copy(place, outside)
            place.unlink()
        make(place, outside)
    return apply


def renamed(image_id):
    """Return a case that has the image under another id, all else right."""
    def apply(top):
        field('id', image_id)(top)
        dumps.edit_list(top, lambda found: found['images'].update(
            {image_id: found['images'].pop(IMAGE)}
        ))
        place = top / 'images' / image_id.replace('\0', '')
        if place.resolve().is_relative_to(top.parent.resolve()):
            shutil.copytree(
                top / 'images' / IMAGE, place, dirs_exist_ok=True
            )
    return apply


def cut(name, change):
    def apply(top):
        path = top / name
        path.write_bytes(change(path.read_bytes()))
    return apply


def _cases():
    folder = f'images/{IMAGE}'
    data, metadata = f'{folder}/data', f'{folder}/image.json'
    for value in NOT_SIZES:
        yield 'size', entry(size=value)
        yield 'min_disk', base('min_disk', value)
    yield 'min_ram', base('min_ram', -1)
    yield 'a size that is not the file\'s', entry(size=len(GOOD) + 1)
    for value in NOT_IDS:
        yield 'an id in the list', renamed(value)
        yield 'an id in the record', field('id', value)
    for value in NOT_DIGESTS:
        yield 'digest', entry(digest=value)
    yield 'hash of the record', entry(metadata='0' * 64)
    yield 'hash of the record', entry(metadata=None)
    yield 'checksum', field('checksum', 'x')
    for value in NOT_ALGORITHMS:
        yield 'algorithm', entry(algorithm=value)
    for value in NOT_JSON:
        yield 'list', raw(manifest.NAME, value)
        yield 'record', raw(manifest.METADATA, value)
    for value in NOT_WORDS:
        yield 'tags', field('tags', [value])
        yield 'members', field('members', [value])
        yield 'disk_format', base('disk_format', value)
    yield 'container_format', base('container_format', 'a\nb')
    yield 'owner', field('owner', 'a\nb')
    yield 'name of a property', properties({'a\nb': 'x'})
    for value in NOT_TEXTS:
        yield 'value of a property', properties({'x': value})
    yield 'name', base('name', 'a\x1bb')
    yield 'half a character in a name', base('name', 'x\udfff')
    for name in (*sorted(records.OWN), 'os_glance_import_task'):
        yield 'a field of Glance as a property', properties({name: 'x'})
    for value in ('', 'PUBLIC', None):
        yield 'visibility', base('visibility', value)
    for value in (1, 'true', None):
        yield 'protected', base('protected', value)
    yield 'os_hidden', base('os_hidden', 1)
    for value in (None, 'x', [['x', 'y']]):
        yield 'properties', properties(value)
        yield 'base', field('base', value)
        yield 'images', listed(lambda found, v=value: found.update(images=v))
        yield 'entry', listed(
            lambda found, v=value: found['images'].update({IMAGE: v})
        )
    for value in (None, 'x', {}, [[]]):
        yield 'tags', field('tags', value)
        yield 'members', field('members', value)
    for value in (None, 2, '1', True):
        yield 'version', listed(lambda found, v=value: found.update(version=v))
    for value in (None, 'x'):
        yield 'format', listed(lambda found, v=value: found.update(format=v))
    yield 'more in the record', field('locations', [{'url': 'file:///etc'}])
    yield 'more in the base', base('owner', 'x')
    yield 'less in the base', record(lambda found: found['base'].pop('name'))
    yield 'less in the record', record(lambda found: found.pop('tags'))
    yield 'more in the entry', entry(path='/etc/passwd')
    yield 'less in the entry', listed(
        lambda found: found['images'][IMAGE].pop('size')
    )
    for name in ('manifest.json', 'images', folder, metadata, data):
        yield f'a link for {name}', instead(
            name, lambda place, outside: place.symlink_to(outside)
        )
        yield f'nothing for {name}', instead(name, lambda *_places: None)
        yield f'a pipe for {name}', instead(
            name, lambda place, outside: os.mkfifo(place)
        )
    for name in ('manifest.json', metadata, data):
        yield f'a directory for {name}', instead(
            name, lambda place, outside: place.mkdir()
        )
        yield f'a device for {name}', instead(
            name, lambda place, outside: place.symlink_to('/dev/zero')
        )
    for name in ('images', folder):
        yield f'a file for {name}', instead(
            name, lambda place, outside: place.write_bytes(b'x')
        )
    yield 'cut data', cut(data, lambda found: found[:-1])
    yield 'longer data', cut(data, lambda found: found + b'x')
    yield 'a flipped bit', cut(
        data, lambda found: bytes([found[0] ^ 1]) + found[1:]
    )
    yield 'a record of another time', cut(
        metadata, lambda found: found.replace(b'good', b'evil')
    )
    yield 'a record that is too large', cut(
        metadata, lambda found: found + b' ' * dumped.LARGEST
    )


CASES = list(_cases())


@pytest.fixture
def top(tmp_path):
    """A dump of one image that is all right."""
    return dumps.make(tmp_path / 'dump')


def outcome(top):
    """Return why nothing is loaded from a dump; None if something is."""
    token = cancel.CancelToken()
    try:
        with (
            folders.Folder.of_user(top) as folder,
            loading.opened(folder, token) as found,
        ):
            for item in found:
                if isinstance(item, loading.Unusable):
                    return item.problem
                item.prepare()
                return None
            return 'it lists nothing'
    except errors.ReplicatorError as exc:
        return str(exc)


def test_a_dump_that_is_all_right_is_loaded(top):
    assert outcome(top) is None


@pytest.mark.parametrize(
    ('name', 'spoil'), CASES,
    ids=[f'{number}-{name}' for number, (name, _) in enumerate(CASES)],
)
def test_a_hostile_dump_is_refused_in_one_sentence(top, name, spoil):
    spoil(top)
    reason = outcome(top)
    assert reason
    assert text.safe(reason, 1000).isprintable()
    assert 'root:' not in reason


@pytest.mark.parametrize(('name', 'size'), [
    (manifest.NAME, 2 ** 40), (f'images/{IMAGE}/{manifest.METADATA}', 2 ** 40),
])
def test_what_would_fill_the_memory_is_not_read(top, name, size, monkeypatch):
    monkeypatch.setattr(manifest, '_LARGEST', 10 ** 6)
    os.truncate(top / name, size)
    assert 'too large' in outcome(top)


def test_what_a_killed_run_has_left_gets_into_no_image(top):
    shutil.rmtree(top / 'images' / IMAGE)
    left = top / 'images' / f'.{IMAGE}.part'
    left.mkdir()
    (left / 'junk').write_text('x')
    assert dump(top, dumps.Item(GOOD)).what == 'copied'
    assert sorted(os.listdir(top / 'images')) == [IMAGE]
    assert sorted(os.listdir(top / 'images' / IMAGE)) == [
        'data', 'image.json',
    ]


@pytest.mark.parametrize('name', [
    'manifest.json', 'images', f'images/{IMAGE}', f'images/.{IMAGE}.part',
    f'images/{IMAGE}/image.json', f'images/{IMAGE}/data',
    f'images/{IMAGE}/.image.json.part', '.manifest.json.part',
])
@pytest.mark.parametrize('of', ['file', 'folder', 'nothing'])
def test_dumping_over_links_writes_nothing_outside(top, tmp_path, name, of):
    outside = tmp_path / 'outside'
    if of == 'file':
        outside.write_text('precious')
    elif of == 'folder':
        outside.mkdir()
        (outside / 'data').write_text('precious')
    place = top / name
    if place.is_dir():
        shutil.rmtree(place)
    elif place.exists():
        place.unlink()
    place.symlink_to(outside)
    before = snapshot(outside)
    try:
        dump(top, dumps.Item(b'new', name='new'))
    except errors.ReplicatorError as exc:
        assert str(exc)
    assert snapshot(outside) == before


def snapshot(place):
    if place.is_dir():
        return {path.name: path.read_bytes() for path in place.iterdir()}
    return place.read_bytes() if place.exists() else None


def dump(top, item):
    token = cancel.CancelToken()
    with dumping.Dump(top) as made:
        return dumping.Dumper(
            made, members=False, dry_run=False, display=dumps.Silent(),
            limit=limits.BandwidthLimit(None, token), cancel=token,
        ).put(item)


def test_what_is_dumped_can_be_loaded(tmp_path):
    dump(tmp_path / 'new', dumps.Item(GOOD))
    assert outcome(tmp_path / 'new') is None


def test_a_damaged_image_is_dumped_again(top):
    (top / 'images' / IMAGE / 'data').unlink()
    assert dump(top, dumps.Item(GOOD)).what == 'copied'
    assert outcome(top) is None


def test_nobody_else_can_read_a_dump(tmp_path):
    dump(tmp_path / 'new', dumps.Item(GOOD))
    for path in (tmp_path / 'new').rglob('*'):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_list_of_a_dump_tells_what_is_in_it(tmp_path):
    dump(tmp_path / 'new', dumps.Item(GOOD))
    found = json.loads((tmp_path / 'new' / 'manifest.json').read_text())
    folder = tmp_path / 'new' / 'images' / IMAGE
    assert found['images'][IMAGE] == {
        'size': len(GOOD), 'algorithm': 'sha512',
        'digest': hashlib.sha512((folder / 'data').read_bytes()).hexdigest(),
        'metadata': hashlib.sha256(
            (folder / 'image.json').read_bytes()
        ).hexdigest(),
    }
