# SPDX-License-Identifier: Apache-2.0

"""A spool with a window, and one that borrows a local file."""

import pytest

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import staged_reader
from tests.parts import data
from tests.parts import threads
from tests.parts.spooled import files
from tests.parts.spooled import half_spilled
from tests.parts.spooled import held
from tests.parts.spooled import read_all

# The window.


@pytest.mark.parametrize(('window', 'steps'), [
    (4096, (97, 5000)), (4096, (100_000, 333)), (10_000, (-1, 37, 8192)),
    (16_384, (1000,)),
])
def test_any_size_passes_through_a_window_that_is_never_exceeded(
    spool_of, folder, window, steps
):
    content = data.some(30_001)
    names = [f'f{number}' for number in range(len(steps))]
    spooled = spool_of(len(content), followers=names, window=window)
    changed = threads.observe(spooled)
    most = []
    reading = []

    def look():
        # Nothing is removed meanwhile: all files are seen at one moment.
        with changed:
            most.append(held(folder))

    for name, step in zip(names, steps, strict=True):
        follower = spooled.follower(name)

        def took(count, follower=follower, took=follower.took):
            look()
            took(count)

        follower.took = took
        reading.append(threads.Running(read_all, spooled, name, step))

    def write():
        for start in range(0, len(content), 3000):
            spooled.write(content[start:start + 3000])
            look()
        spooled.approve()

    threads.Running(write).result()
    assert [each.result() for each in reading] == [content] * len(steps)
    assert max(most) <= window, sorted(set(most))


def test_the_writer_waits_for_the_slowest_and_is_woken_by_it(spool_of, folder):
    content = data.some(8192)
    spooled = half_spilled(spool_of, content, size=8193, window=4096)
    changed = threads.observe(spooled)
    writing = threads.Running(spooled.write, b'x')
    changed.wait_for_sleepers()
    assert held(folder) == 4096
    assert spooled.follower('slow').take(8192) == content
    writing.result()


def test_segments_that_all_have_passed_are_removed(spool_of, folder):
    spooled = half_spilled(spool_of, bytes(8192), window=4096)
    before = files(folder)
    assert len(before) == 4
    spooled.follower('slow').take(2047)
    assert files(folder) == before[1:]
    spooled.follower('slow').take(1)
    assert files(folder) == before[2:]


def test_one_read_may_be_longer_than_the_window(spool_of):
    content = data.some(20_000)
    spooled = spool_of(20_000, window=4096)
    writing = threads.Running(spooled.write, content)
    source = staged_reader.StagedReader(spooled.follower('a'))
    assert threads.Running(source.read, 19_999).result() == content[:-1]
    writing.result()
    spooled.approve()
    assert source.read() == content[-1:]


def test_a_closed_follower_does_not_hold_the_window(spool_of):
    content = data.some(20_000)
    spooled = spool_of(20_000, followers=('alive', 'dead'), window=4096)
    changed = threads.observe(spooled)
    writing = threads.Running(spooled.write, content)
    reading = threads.Running(spooled.follower('alive').take, 20_000)
    changed.wait_for_sleepers(2)
    spooled.follower('dead').close()
    writing.result()
    assert reading.result() == content


def test_a_writer_whom_nobody_follows_is_not_held_up(spool_of, folder):
    spooled = spool_of(100_000, window=4096)
    spooled.follower('a').close()
    threads.Running(spooled.write, bytes(100_000)).result()
    assert held(folder) <= 4096


# A local file that is read in place.


def test_a_borrowed_file_is_followed_as_far_as_it_was_checked(
    spool_of, borrowed, folder
):
    spooled = spool_of(6)
    changed = threads.observe(spooled)
    spooled.borrow(borrowed(b'abcdef'))
    taking = threads.Running(spooled.follower('a').take, 1)
    changed.wait_for_sleepers()
    spooled.advance(2)
    assert taking.result() == b'a'
    assert spooled.follower('a').extent(100).length == 1
    spooled.advance(4)
    assert spooled.follower('a').take(5) == b'bcdef'
    assert files(folder) == []


def test_a_borrowed_file_stays_where_it_is(spool_of, borrowed, tmp_path):
    spooled = spool_of(3)
    spooled.borrow(borrowed(b'abc'))
    spooled.advance(3)
    spooled.reject(errors.SourceMismatch('wrong bytes'))
    spooled.follower('a').close()
    spooled.close()
    assert (tmp_path / 'source-file').read_bytes() == b'abc'


def test_a_borrowed_file_that_becomes_shorter_is_noticed(
    spool_of, borrowed, tmp_path
):
    spooled = spool_of(6)
    spooled.borrow(borrowed(b'abcdef'))
    spooled.advance(6)
    spooled.approve()
    (tmp_path / 'source-file').write_bytes(b'ab')
    source = staged_reader.StagedReader(spooled.follower('a'))
    with pytest.raises(errors.StagingError, match='shorter'):
        source.read()
    assert source.error
    assert not source.finished


def test_the_only_borrowed_file_is_offered_as_a_whole(spool_of, borrowed):
    spooled = spool_of(3)
    assert spooled.sole_file is None
    fd = borrowed(b'abc')
    spooled.borrow(fd)
    assert spooled.sole_file == fd


def test_what_was_written_is_not_offered_as_a_whole(spool_of):
    spooled = spool_of(3)
    spooled.write(b'abc')
    assert spooled.sole_file is None


def test_staging_goes_on_in_files_of_its_own_behind_a_borrowed_one(
    spool_of, borrowed
):
    spooled = spool_of(9)
    spooled.borrow(borrowed(b'abcdef'))
    spooled.advance(4)
    spooled.write(b'EFGHI')
    spooled.approve()
    assert spooled.sole_file is None
    assert read_all(spooled, 'a', 2) == b'abcdEFGHI'


def test_staging_goes_on_in_a_borrowed_file_behind_one_of_its_own(
    spool_of, borrowed
):
    spooled = spool_of(6)
    spooled.write(b'ABC')
    spooled.borrow(borrowed(b'abcdef'))
    spooled.advance(3)
    spooled.approve()
    assert spooled.sole_file is None
    assert read_all(spooled, 'a', 4) == b'ABCdef'


def test_a_window_goes_on_working_behind_a_borrowed_file(
    spool_of, borrowed, folder
):
    content = data.some(30_000)
    spooled = spool_of(30_000, window=4096)
    spooled.borrow(borrowed(content[:5000]))
    spooled.advance(5000)
    reading = threads.Running(read_all, spooled, 'a', 1000)
    writing = threads.Running(spooled.write, content[5000:])
    writing.result()
    assert held(folder) <= 4096
    spooled.approve()
    assert reading.result() == content
