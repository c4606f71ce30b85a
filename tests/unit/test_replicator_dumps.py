# SPDX-License-Identifier: Apache-2.0

"""Dumps in real directories: what is written, kept, replaced and removed."""

import os
from unittest import mock

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import limits
from glance_replicate import display
from glance_replicate import dump_reading
from glance_replicate import dump_writing
from glance_replicate import errors
from glance_replicate import folders
from tests.parts import dumps
from tests.parts import replication

ID = dumps.IMAGE


@pytest.fixture
def folder(tmp_path):
    with folders.Folder.of_user(tmp_path) as opened:
        yield opened


def dumper(made, **more):
    token = cancel_token.CancelToken()
    return dump_writing.Dumper(**{
        'dump': made, 'display': display.Display(),
        'limit': limits.BandwidthLimit(None, token),
        'retries': replication.retries(token), **more,
    })


def test_a_dump_tells_what_became_of_an_image_each_time(tmp_path):
    item = dumps.Item(b'data')
    for more, what, size in (
        ({'dry_run': True}, 'would copy', 4), ({}, 'copied', 4),
        ({}, 'same', 0), ({'dry_run': True}, 'same', 0),
    ):
        with dump_writing.Dump(tmp_path, more.get('dry_run', False)) as made:
            result = dumper(made, **more).put(item)
        assert (result.what, result.size) == (what, size)
        assert (tmp_path / 'images').exists() is (what != 'would copy')
    item.image.base['name'] = 'new'
    for more, what in (
        ({'dry_run': True}, 'would update'), ({}, 'updated'), ({}, 'same'),
    ):
        with dump_writing.Dump(tmp_path) as made:
            assert dumper(made, **more).put(item).what == what
    limit = mock.Mock()
    with dump_writing.Dump(tmp_path) as made:
        result = dumper(made, limit=limit).put(dumps.Item(b'other'))
        assert result.what == 'copied'
    limit.consume.assert_called_once_with(5)
    data = tmp_path / 'images' / ID / 'data'
    assert data.read_bytes() == b'other'
    for damage in (lambda: data.write_bytes(b'less'), data.unlink):
        damage()
        with dump_writing.Dump(tmp_path) as made:
            assert dumper(made).put(dumps.Item(b'other')).what == 'copied'
        assert data.read_bytes() == b'other'


def test_members_are_dumped_only_of_images_that_are_shared(tmp_path):
    item = dumps.Item(b'data')
    item.members = lambda: {'friend'}
    for visibility, wanted in (('shared', {'friend'}), ('private', set())):
        item.image.base['visibility'] = visibility
        with dump_writing.Dump(tmp_path) as made:
            dumper(made, members=True).put(item)
        token = cancel_token.CancelToken()
        with dump_reading.opened(tmp_path, token) as (found,):
            assert found.members() == wanted
            assert found.refresh() == item.image


def test_a_stop_ends_the_reading_of_a_dump(tmp_path):
    token = cancel_token.CancelToken()
    with dump_reading.opened(dumps.make(tmp_path / 'x'), token) as (item,):
        assert b''.join(item.open(5)) == dumps.GOOD[5:]
        token.cancel(errors.Stopped('stop'))
        with pytest.raises(errors.Stopped):
            item.prepare()


def test_files_are_written_whole_and_read_up_to_a_limit(folder, tmp_path):
    for data in (b'one', b'second', b'', b'1234'):
        folder.write('x', data)
        assert (tmp_path / 'x').read_bytes() == data
        assert os.listdir(tmp_path) == ['x']
    assert folder.read('x', 4) == b'1234'
    assert folder.size('x') == 4
    for name, told in (('x', 'x is too large'), ('y', 'No such file')):
        with pytest.raises(folders.BadDump, match=told):
            folder.read(name, 3)
    with folder.create('x') as stream:
        stream.write(b'new')
    assert (tmp_path / 'x').read_bytes() == b'new'


def test_files_and_folders_are_removed_and_others_are_not(folder, tmp_path):
    (tmp_path / 'kept').write_bytes(b'')
    folder.write('x', b'1')
    with folder.folder('y', make=True) as inner:
        inner.write('a', b'')
        inner.write('b', b'')
    for name in ('x', 'y', 'absent'):
        folder.remove(name)
        assert not folder.has(name)
    assert folder.has('kept')
    assert os.listdir(tmp_path) == ['kept']
    with pytest.raises(folders.BadDump, match='No such file'):
        folder.folder('y')


@pytest.mark.parametrize('name', ['', '.', '..', 'a/b', '/x', 'a\0'])
def test_a_name_that_leads_elsewhere_is_refused(folder, name):
    for do in (
        folder.folder, folder.open, folder.create, folder.remove,
        lambda name: folder.folder(name, make=True),
    ):
        with pytest.raises(folders.BadDump, match='not the name of a file'):
            do(name)


def test_a_directory_is_made_only_when_that_is_asked_for(tmp_path):
    with pytest.raises(folders.BadDump, match='Cannot use .*: No such file'):
        folders.Folder.of_user(tmp_path / 'a' / 'b')
    assert os.listdir(tmp_path) == []
    with folders.Folder.of_user(tmp_path / 'a' / 'b', make=True):
        assert (tmp_path / 'a' / 'b').stat().st_mode & 0o777 == 0o700


def test_two_do_not_dump_into_the_same_directory(tmp_path):
    with (
        dump_writing.Dump(tmp_path),
        pytest.raises(errors.ReplicatorError, match='Another process'),
        dump_writing.Dump(tmp_path),
    ):
        pass
    with dump_writing.Dump(tmp_path) as made:
        assert dumper(made).put(dumps.Item(b'data')).what == 'copied'


def test_what_the_list_does_not_tell_rightly_is_dumped_again(tmp_path):
    top = dumps.make(tmp_path / 'dump')
    dumps.edit_list(top, lambda found: found['images'][ID].update(size=-1))
    with dump_writing.Dump(top) as made:
        assert made.entry(ID) is None
        assert dumper(made).put(dumps.Item(dumps.GOOD)).what == 'copied'
        assert made.entry(ID).size == len(dumps.GOOD)


def test_what_vanishes_breaks_or_is_wrong_leaves_nothing_in_a_dump(tmp_path):
    class Vanishing(dumps.Item):
        times = 0

        def refresh(self):
            self.times += 1
            if self.times == 2:
                raise errors.Vanished('it is gone')
            return self.image

    def broken(offset):
        yield b'da'
        raise errors.Refused('no', 403)

    def wrong(offset):
        yield b'atad'

    with dump_writing.Dump(tmp_path) as made:
        result = dumper(made).put(Vanishing(b'data'))
        assert (result.what, result.detail) == ('vanished', 'it is gone')
        assert os.listdir(tmp_path / 'images') == []
        for read, error in (
            (broken, errors.Refused), (wrong, errors.WrongData),
        ):
            item = dumps.Item(b'data')
            item.open = read
            with pytest.raises(error):
                dumper(made).put(item)
            assert os.listdir(tmp_path / 'images') == []
        assert made.entry(ID) is None
