# SPDX-License-Identifier: Apache-2.0

"""Directories that claim to be dumps: none of them is believed."""

import hashlib
import json
import os
import shutil

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import limits
from glance_replicate import display
from glance_replicate import dump_reading
from glance_replicate import dump_writing
from glance_replicate import errors
from glance_replicate import records
from glance_replicate import text
from tests.parts import dumps
from tests.parts import replication

IMAGE = dumps.IMAGE
GOOD = dumps.GOOD
FOLDER = f'images/{IMAGE}'
DATA, METADATA = f'{FOLDER}/data', f'{FOLDER}/image.json'
ABSENT = object()  # the field is taken away

# One of each kind of nonsense.
NOT_SIZES = (-1, 2 ** 63, True, '5', 5.0)
NOT_TEXTS = (7, ['x'], 'x\udfff')
NOT_LISTS = (None, 'x', {}, [[]])
NOT_DICTS = (None, 'x', [['x', 'y']])
NOT_IDS = (
    '..', '', '../../etc', '/etc/passwd', f'{IMAGE}/..', f'{IMAGE}\n',
    IMAGE[:-1], f'.{IMAGE}.part', IMAGE.replace('a', 'ä'),
    '\u0661' + IMAGE[1:],
)
NOT_DIGESTS = (None, 'g' * 128, 'A' * 128, '0' * 127, '\u0660' * 128)
NOT_JSON = (
    b'', b'[]', b'\xff\xfe', b'{"a": NaN}', b'{"a": 1.5}', b'[' * 200000,
    b'{"a": ' + b'9' * 5000 + b'}', b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}',
    b'{"a": 1} x', b'\xef\xbb\xbf{}',
)

# What the list must not say, and what the record must not say.
LIST = {
    'format': (None, 'x'),
    'version': (None, 2, '1', True),
    'images': NOT_DICTS,
    f'images/{IMAGE}': NOT_DICTS,
    f'images/{IMAGE}/size': (*NOT_SIZES, len(GOOD) + 1, ABSENT),
    f'images/{IMAGE}/algorithm': (
        None, '', 'shake_128', 'sha256', 'sha512\n', ['sha512'],
    ),
    f'images/{IMAGE}/digest': NOT_DIGESTS,
    f'images/{IMAGE}/metadata': ('0' * 64, None),
    f'images/{IMAGE}/path': ('/etc/passwd',),
}
RECORD = {
    'id': NOT_IDS,
    'checksum': ('x',),
    'owner': NOT_TEXTS,
    'tags': (*NOT_LISTS, [None], *([each] for each in NOT_TEXTS), ABSENT),
    'members': (*NOT_LISTS, [None], *([each] for each in NOT_TEXTS)),
    'locations': ([{'url': 'file:///etc'}],),
    'properties': NOT_DICTS,
    'properties/x': NOT_TEXTS,
    **{
        f'properties/{name}': ('x',)
        for name in (*sorted(records.OWN), 'os_glance_import_task')
    },
    'base': NOT_DICTS,
    'base/name': (*NOT_TEXTS, ABSENT),
    'base/disk_format': NOT_TEXTS,
    'base/container_format': NOT_TEXTS,
    'base/min_disk': NOT_SIZES,
    'base/min_ram': (-1,),
    'base/visibility': ('', 'PUBLIC', None),
    'base/protected': (1, 'true', None),
    'base/os_hidden': (1,),
    'base/owner': ('x',),
}


def put(found, path, value):
    """Set what a path like ``base/name`` leads to, or take it away."""
    *parents, name = path.split('/')
    for each in parents:
        found = found[each]
    if value is ABSENT:
        del found[name]
    else:
        found[name] = value


@pytest.fixture
def top(tmp_path):
    """A dump of one image that is all right."""
    return dumps.make(tmp_path / 'dump')


def outcome(top):
    """Return why nothing is loaded from a dump; None if something is."""
    token = cancel_token.CancelToken()
    try:
        with dump_reading.opened(top, token) as found:
            for item in found:
                if isinstance(item, dump_reading.Unusable):
                    return item.problem
                item.refresh()
                item.prepare()
                return None
            return 'it lists nothing'
    except errors.ReplicatorError as exc:
        return str(exc)


def assert_refused(top):
    """Nothing of a dump is loaded, for a reason of one sentence."""
    reason = outcome(top)
    assert reason
    assert text.safe(reason, 1000).isprintable()
    assert 'root:' not in reason


def test_a_dump_that_is_all_right_is_loaded(top):
    assert outcome(top) is None


@pytest.mark.parametrize(('edit', 'path', 'values'), [
    *((dumps.edit_list, path, values) for path, values in LIST.items()),
    *((dumps.edit_record, path, values) for path, values in RECORD.items()),
])
def test_what_a_dump_must_not_say_is_refused(tmp_path, edit, path, values):
    for number, value in enumerate(values):
        top = dumps.make(tmp_path / str(number))
        edit(top, lambda found, value=value: put(found, path, value))
        assert_refused(top)


@pytest.mark.parametrize('data', NOT_JSON)
def test_what_is_no_json_is_refused(tmp_path, data):
    listed, recorded = (dumps.make(tmp_path / name) for name in 'ab')
    (listed / dump_reading.NAME).write_bytes(data)
    assert_refused(listed)
    dumps.write_record(recorded, data)
    assert_refused(recorded)


@pytest.mark.parametrize('image_id', NOT_IDS)
def test_an_id_that_leads_elsewhere_is_refused(top, image_id):
    dumps.edit_record(top, lambda found: found.update(id=image_id))
    dumps.edit_list(top, lambda found: found['images'].update(
        {image_id: found['images'].pop(IMAGE)}
    ))
    place = top / 'images' / image_id
    if place.resolve().is_relative_to(top.parent.resolve()):
        shutil.copytree(top / 'images' / IMAGE, place, dirs_exist_ok=True)
    assert_refused(top)


@pytest.mark.parametrize('name', [
    dump_reading.NAME, 'images', FOLDER, METADATA, DATA,
])
@pytest.mark.parametrize('make', [
    lambda place, outside: place.symlink_to(outside),
    lambda place, outside: place.symlink_to('/dev/zero'),
    lambda place, outside: os.mkfifo(place),
    lambda place, outside: (
        place.write_bytes(b'x') if outside.is_dir() else place.mkdir()
    ),
    lambda place, outside: None,
], ids=['a link', 'a device', 'a pipe', 'another kind', 'nothing'])
def test_what_is_no_file_or_directory_is_refused(top, name, make):
    place, outside = top / name, top.parent / 'outside'
    place.rename(outside)
    make(place, outside)
    assert_refused(top)


@pytest.mark.parametrize(('name', 'change'), [
    (DATA, lambda found: found[:-1]),
    (DATA, lambda found: found + b'x'),
    (DATA, lambda found: bytes([found[0] ^ 1]) + found[1:]),
    (METADATA, lambda found: found.replace(b'good', b'evil')),
    (METADATA, lambda found: found + b' ' * dump_reading.LARGEST_RECORD),
], ids=['cut', 'longer', 'a flipped bit', 'another record', 'too large'])
def test_files_that_have_changed_are_refused(top, name, change):
    path = top / name
    path.write_bytes(change(path.read_bytes()))
    assert_refused(top)


@pytest.mark.parametrize('name', [dump_reading.NAME, METADATA])
def test_what_would_fill_the_memory_is_not_read(top, name, monkeypatch):
    monkeypatch.setattr(dump_reading, '_LARGEST', 10 ** 6)
    os.truncate(top / name, 2 ** 40)
    assert 'too large' in outcome(top)


def dump(top, item):
    token = cancel_token.CancelToken()
    with dump_writing.Dump(top) as made:
        return dump_writing.Dumper(
            dump=made, display=display.Display(),
            limit=limits.BandwidthLimit(None, token),
            retries=replication.retries(token),
        ).put(item)


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
    dump_reading.NAME, 'images', FOLDER, f'images/.{IMAGE}.part', METADATA,
    DATA, f'{FOLDER}/.image.json.part', '.manifest.json.part',
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


def test_what_is_dumped_can_be_loaded_and_read_by_nobody_else(tmp_path):
    top = tmp_path / 'new'
    dump(top, dumps.Item(GOOD))
    assert outcome(top) is None
    for path in top.rglob('*'):
        assert path.stat().st_mode & 0o077 == 0, path
    found = json.loads((top / dump_reading.NAME).read_text())
    assert found['images'][IMAGE] == {
        'size': len(GOOD), 'algorithm': 'sha512',
        'digest': hashlib.sha512((top / DATA).read_bytes()).hexdigest(),
        'metadata': hashlib.sha256((top / METADATA).read_bytes()).hexdigest(),
    }
