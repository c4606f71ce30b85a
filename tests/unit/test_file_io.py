# SPDX-License-Identifier: Apache-2.0

import os

import pytest

from glance_copy_plugin.backends import file_io
from tests.parts import data
from tests.parts import filesystems

BLOCK = 1024 * 1024


@pytest.fixture
def opened():
    """Return a function that opens files, closed after the test."""
    fds = []

    def open_(path, content=None):
        if content is not None:
            path.write_bytes(content)
        fds.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return fds[-1]

    yield open_
    for fd in fds:
        os.close(fd)


def sparse(path, size, pieces):
    """Make a file of ``size`` with data only where ``pieces`` say."""
    with open(path, 'wb') as file:
        file.truncate(size)
        for offset, content in pieces.items():
            file.seek(offset)
            file.write(content)


def copy_all(source, target, size):
    """Copy as the file copier does; return how many steps it took."""
    os.ftruncate(target, size)
    offset = steps = 0
    while offset < size:
        count = file_io.copy_range(
            source, offset, target, offset, size - offset
        )
        assert count > 0
        offset += count
        steps += 1
    assert offset == size
    return steps


def used(path):
    os.sync()
    return path.stat().st_blocks * 512


@pytest.mark.parametrize('size', [0, 1, BLOCK - 1, BLOCK, 17 * BLOCK + 3])
def test_a_file_is_copied_byte_for_byte(tmp_path, opened, size):
    content = data.some(size)
    source = opened(tmp_path / 'a', content)
    target = opened(tmp_path / 'b')
    copy_all(source, target, size)
    assert (tmp_path / 'b').read_bytes() == content


@pytest.mark.parametrize('pieces', [
    {},
    {0: b'x' * BLOCK},
    {32 * BLOCK - 1: b'x'},
    {8 * BLOCK: b'x' * BLOCK},
    {0: b'x', 8 * BLOCK: b'y' * BLOCK, 31 * BLOCK: b'z' * BLOCK},
])
def test_holes_stay_holes(tmp_path, opened, pieces):
    size = 32 * BLOCK
    sparse(tmp_path / 'a', size, pieces)
    source, target = opened(tmp_path / 'a'), opened(tmp_path / 'b')
    copy_all(source, target, size)
    assert (tmp_path / 'b').read_bytes() == (tmp_path / 'a').read_bytes()
    assert used(tmp_path / 'b') <= used(tmp_path / 'a')
    assert used(tmp_path / 'b') <= 3 * BLOCK


def test_big_data_is_copied_in_steps_that_can_be_stopped(tmp_path, opened):
    source = opened(tmp_path / 'a', bytes(64 * BLOCK))
    target = opened(tmp_path / 'b')
    assert copy_all(source, target, 64 * BLOCK) >= 4


def test_a_range_goes_to_another_offset(tmp_path, opened):
    source = opened(tmp_path / 'a', b'abcdef')
    target = opened(tmp_path / 'b', b'......')
    assert file_io.copy_range(source, 2, target, 1, 3) == 3
    assert (tmp_path / 'b').read_bytes() == b'.cde..'


def test_nothing_is_copied_behind_the_end_of_the_source(tmp_path, opened):
    source = opened(tmp_path / 'a', b'abc')
    target = opened(tmp_path / 'b')
    assert file_io.copy_range(source, 3, target, 3, 10) == 0
    assert file_io.copy_range(source, 7, target, 7, 10) == 0


def test_files_are_copied_between_kinds_of_file_system(tmp_path, opened):
    content = data.some(3 * BLOCK + 5)
    with filesystems.small('8m') as other:
        source = opened(tmp_path / 'a', content)
        target = opened(other / 'b')
        copy_all(source, target, len(content))
        assert (other / 'b').read_bytes() == content


def test_sharing_blocks_is_refused_politely_where_it_is_impossible(
    tmp_path, opened
):
    with filesystems.small('1m') as other:
        source = opened(tmp_path / 'a', b'abc')
        target = opened(other / 'b')
        assert file_io.reflink(source, target) is False
        assert (other / 'b').read_bytes() == b''


def test_a_shared_copy_takes_no_space_and_is_independent(opened):
    content = data.some(64 * BLOCK)
    with filesystems.sharing_blocks() as folder:
        source = opened(folder / 'a', content)
        target = opened(folder / 'b')
        os.sync()
        before = os.statvfs(folder).f_bfree
        assert file_io.reflink(source, target) is True
        os.sync()
        taken = before - os.statvfs(folder).f_bfree
        assert taken * os.statvfs(folder).f_frsize < 8 * BLOCK
        assert (folder / 'b').read_bytes() == content
        os.pwrite(source, b'changed', 0)
        assert (folder / 'b').read_bytes() == content
