# SPDX-License-Identifier: Apache-2.0

import os
import stat
import threading

import pytest

from glance_copy_plugin.transfer import cancel
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import reader
from glance_copy_plugin.transfer import spool
from tests.parts import data
from tests.parts import filesystems
from tests.parts import threads


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'staging' / 'of-this-copy'


@pytest.fixture
def token():
    return cancel.CancelToken()


@pytest.fixture
def make(folder, token):
    """Return a function that makes a spool, closed after the test."""
    made = []

    def spool_of(size, *, followers=('a',), window=None, place=folder):
        made.append(spool.Spool(
            str(place), size=size, cancel=token, followers=followers,
            window=window,
        ))
        return made[-1]

    yield spool_of
    for each in made:
        each.close()


@pytest.fixture
def borrowed(tmp_path):
    """Return a function that opens a file with the given bytes."""

    def opened(content):
        path = tmp_path / 'source-file'
        path.write_bytes(content)
        return os.open(path, os.O_RDONLY)

    return opened


def files(folder):
    return sorted(folder.iterdir()) if folder.exists() else []


def held(folder):
    """Return how many bytes the staging folder holds on the disk."""
    total = 0
    for path in files(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            """Removed between the two looks."""
    return total


def take(follower, count):
    """Take ``count`` bytes, however many extents that needs."""
    taken = b''
    while len(taken) < count:
        extent = follower.extent(count - len(taken))
        taken += os.pread(extent.fd, extent.length, extent.offset)
        follower.took(extent.length)
    return taken


def read_all(spooled, name, step):
    """Read as a driver does, in steps of ``step``; then stop following."""
    follower = spooled.follower(name)
    source = reader.StagedReader(follower)
    try:
        read = b''.join(iter(lambda: source.read(step), b''))
        assert source.finished
        return read
    finally:
        follower.close()


# Following.


def test_bytes_can_be_taken_as_soon_as_they_are_written(make):
    spooled = make(6)
    follower = spooled.follower('a')
    spooled.write(b'abc')
    assert take(follower, 3) == b'abc'
    spooled.write(b'def')
    assert take(follower, 3) == b'def'


def test_a_follower_that_is_ahead_is_woken_by_the_next_bytes(make):
    spooled = make(6)
    changed = threads.observe(spooled)
    taking = threads.Running(take, spooled.follower('a'), 6)
    changed.wait_for_sleepers()
    spooled.write(b'abc')
    changed.wait_for_sleepers()
    spooled.write(b'def')
    assert taking.result() == b'abcdef'


def test_the_end_is_withheld_until_the_whole_is_approved(make):
    spooled = make(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    follower = spooled.follower('a')
    take(follower, 3)
    asking = threads.Running(follower.extent, 10)
    changed.wait_for_sleepers()
    spooled.approve()
    assert asking.result() is None


def test_the_last_byte_is_not_read_before_the_whole_is_approved(make):
    spooled = make(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    source = reader.StagedReader(spooled.follower('a'))
    assert source.read(2) == b'ab'
    reading = threads.Running(source.read, 1)
    changed.wait_for_sleepers()
    assert not source.finished
    spooled.approve()
    assert reading.result() == b'c'
    assert source.finished
    assert source.read(1) == b''


def test_a_complete_image_that_is_wrong_is_never_handed_out(make):
    spooled = make(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    source = reader.StagedReader(spooled.follower('a'))
    reading = threads.Running(source.read)
    changed.wait_for_sleepers()
    wrong = errors.SourceMismatch('wrong bytes')
    spooled.reject(wrong)
    with pytest.raises(errors.SourceMismatch):
        reading.result()
    assert source.error is wrong
    assert not source.finished


def test_an_empty_image_ends_when_it_is_approved(make, folder):
    spooled = make(0)
    changed = threads.observe(spooled)
    reading = threads.Running(read_all, spooled, 'a', 10)
    changed.wait_for_sleepers()
    spooled.approve()
    assert reading.result() == b''
    assert files(folder) == []


@pytest.mark.parametrize('step', [1, 7, 64, 1000, -1, None])
def test_reads_are_exactly_as_long_as_was_asked_for(make, step):
    content = data.some(1000)
    spooled = make(1000)
    for start in range(0, 1000, 33):
        spooled.write(content[start:start + 33])
    spooled.approve()
    source = reader.StagedReader(spooled.follower('a'))
    wanted = step if step and step > 0 else 1000
    lengths = []
    while chunk := source.read(step):
        lengths.append(len(chunk))
    assert set(lengths[:-1]) <= {wanted}
    assert sum(lengths) == 1000


def test_iterating_over_a_reader_gives_the_whole_image(make):
    spooled = make(5)
    spooled.write(b'abcde')
    spooled.approve()
    counts = []
    source = reader.StagedReader(spooled.follower('a'), counts.append)
    assert b''.join(source) == b'abcde'
    assert counts[-1] == 5


def test_followers_do_not_disturb_one_another(make):
    content = data.some(100_000)
    spooled = make(100_000, followers=('a', 'b', 'c'))
    reading = [
        threads.Running(read_all, spooled, name, step)
        for name, step in (('a', 1000), ('b', 65536), ('c', 100_001))
    ]
    for start in range(0, 100_000, 4097):
        spooled.write(content[start:start + 4097])
    spooled.approve()
    assert [each.result() for each in reading] == [content] * 3


# What is on the disk.


def test_staged_files_can_be_read_by_their_owner_only(make, folder):
    previous = os.umask(0)
    try:
        make(3).write(b'abc')
    finally:
        os.umask(previous)
    assert [stat.S_IMODE(each.stat().st_mode) for each in files(folder)] == (
        [0o600]
    )
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_is_made_before_the_first_byte(make, folder):
    make(3).approve()
    assert not folder.exists()


def test_closing_removes_every_file(make, folder):
    spooled = make(100, window=40)
    spooled.write(bytes(40))
    assert files(folder)
    spooled.close()
    assert files(folder) == []


def test_two_spools_share_a_folder(make, folder):
    first, second = make(3), make(3)
    first.write(b'abc')
    second.write(b'def')
    assert len(files(folder)) == 2
    assert take(first.follower('a'), 3) == b'abc'
    assert take(second.follower('a'), 3) == b'def'


def test_without_a_window_all_of_it_stays_for_whoever_comes_late(
    make, folder
):
    spooled = make(1000, followers=('a', 'b'))
    spooled.write(bytes(1000))
    spooled.approve()
    assert read_all(spooled, 'a', 100) == bytes(1000)
    assert held(folder) == 1000
    assert read_all(spooled, 'b', 100) == bytes(1000)


def test_no_space_is_an_error_of_the_staging_area_that_says_what_to_do(make):
    with filesystems.small('1m') as place:
        spooled = make(4 * 1024 ** 2, place=place / 'copy')
        with pytest.raises(
            errors.StagingError, match='No space left.*staging_window'
        ):
            spooled.write(bytes(4 * 1024 ** 2))
        spooled.close()
        assert files(place / 'copy') == []


def test_a_folder_that_cannot_be_made_is_an_error_of_the_staging_area(
    make, tmp_path
):
    (tmp_path / 'file').write_text('in the way')
    spooled = make(3, place=tmp_path / 'file' / 'below')
    with pytest.raises(errors.StagingError, match='Not a directory'):
        spooled.write(b'abc')


# The window.


@pytest.mark.parametrize('steps', [
    (1000,), (97, 5000), (4096, 4096), (100_000, 333), (-1, 7, 8192),
])
@pytest.mark.parametrize('window', [4096, 10_000, 16_384])
def test_any_size_passes_through_a_window_that_is_never_exceeded(
    make, folder, window, steps
):
    content = data.some(50_001)
    names = [f'f{number}' for number in range(len(steps))]
    spooled = make(len(content), followers=names, window=window)
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
    assert 0 < max(most) <= window, sorted(set(most))


def test_the_writer_waits_for_the_slowest_and_is_woken_by_it(make, folder):
    content = data.some(10_000)
    spooled = make(10_000, followers=('quick', 'slow'), window=4096)
    changed = threads.observe(spooled)
    writing = threads.Running(spooled.write, content)
    quick = threads.Running(take, spooled.follower('quick'), 10_000)
    # Both: the writer has no room, the quick one has nothing to read.
    changed.wait_for_sleepers(2)
    assert spooled.position == 4096
    assert held(folder) == 4096
    assert take(spooled.follower('slow'), 10_000) == content
    writing.result()
    assert quick.result() == content


def test_segments_that_all_have_passed_are_removed(make, folder):
    spooled = make(100_000, followers=('a', 'b'), window=4096)
    spooled.write(bytes(4096))
    before = files(folder)
    assert len(before) == 4
    take(spooled.follower('a'), 4096)
    assert files(folder) == before
    take(spooled.follower('b'), 2048)
    assert files(folder) == before[2:]


def test_one_read_may_be_longer_than_the_window(make):
    content = data.some(20_000)
    spooled = make(20_000, window=4096)
    writing = threads.Running(spooled.write, content)
    source = reader.StagedReader(spooled.follower('a'))
    assert threads.Running(source.read, 19_999).result() == content[:-1]
    writing.result()
    spooled.approve()
    assert source.read() == content[-1:]


def test_a_closed_follower_does_not_hold_the_window(make):
    content = data.some(20_000)
    spooled = make(20_000, followers=('alive', 'dead'), window=4096)
    changed = threads.observe(spooled)
    writing = threads.Running(spooled.write, content)
    reading = threads.Running(take, spooled.follower('alive'), 20_000)
    changed.wait_for_sleepers(2)
    spooled.follower('dead').close()
    writing.result()
    assert reading.result() == content


def test_a_writer_whom_nobody_follows_any_more_is_not_held_up(make, folder):
    spooled = make(100_000, window=4096)
    spooled.follower('a').close()
    threads.Running(spooled.write, bytes(100_000)).result()
    assert held(folder) <= 4096


# A local file that is read in place.


def test_a_borrowed_file_is_followed_as_far_as_it_was_checked(
    make, borrowed, folder
):
    spooled = make(6)
    changed = threads.observe(spooled)
    spooled.borrow(borrowed(b'abcdef'))
    taking = threads.Running(take, spooled.follower('a'), 1)
    changed.wait_for_sleepers()
    spooled.advance(2)
    assert taking.result() == b'a'
    assert spooled.follower('a').extent(100).length == 1
    spooled.advance(4)
    assert take(spooled.follower('a'), 5) == b'bcdef'
    assert files(folder) == []


def test_a_borrowed_file_stays_where_it_is(make, borrowed, tmp_path):
    spooled = make(3)
    spooled.borrow(borrowed(b'abc'))
    spooled.advance(3)
    spooled.reject(errors.SourceMismatch('wrong bytes'))
    spooled.follower('a').close()
    spooled.close()
    assert (tmp_path / 'source-file').read_bytes() == b'abc'


def test_the_only_borrowed_file_is_offered_as_a_whole(make, borrowed):
    spooled = make(3)
    assert spooled.sole_file is None
    fd = borrowed(b'abc')
    spooled.borrow(fd)
    assert spooled.sole_file == fd


def test_what_was_written_is_not_offered_as_a_whole(make):
    spooled = make(3)
    spooled.write(b'abc')
    assert spooled.sole_file is None


def test_staging_goes_on_in_files_of_its_own_behind_a_borrowed_one(
    make, borrowed
):
    spooled = make(9)
    spooled.borrow(borrowed(b'abcdef'))
    spooled.advance(4)
    spooled.write(b'EFGHI')
    spooled.approve()
    assert spooled.sole_file is None
    assert read_all(spooled, 'a', 2) == b'abcdEFGHI'


def test_staging_goes_on_in_a_borrowed_file_behind_one_of_its_own(
    make, borrowed
):
    spooled = make(6)
    spooled.write(b'ABC')
    spooled.borrow(borrowed(b'abcdef'))
    spooled.advance(3)
    spooled.approve()
    assert spooled.sole_file is None
    assert read_all(spooled, 'a', 4) == b'ABCdef'


def test_a_window_goes_on_working_behind_a_borrowed_file(
    make, borrowed, folder
):
    content = data.some(30_000)
    spooled = make(30_000, window=4096)
    spooled.borrow(borrowed(content[:5000]))
    spooled.advance(5000)
    reading = threads.Running(read_all, spooled, 'a', 1000)
    writing = threads.Running(spooled.write, content[5000:])
    writing.result()
    assert held(folder) <= 4096
    spooled.approve()
    assert reading.result() == content


# Ends.


def test_rejecting_fails_every_follower_for_the_same_reason(make):
    spooled = make(9, followers=('a', 'b'))
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    reading = [
        threads.Running(read_all, spooled, name, 9) for name in ('a', 'b')
    ]
    changed.wait_for_sleepers(2)
    wrong = errors.SourceMismatch('wrong bytes')
    spooled.reject(wrong)
    for each in reading:
        with pytest.raises(errors.SourceMismatch) as raised:
            each.result()
        assert raised.value is wrong


def test_rejected_files_go_when_the_last_follower_has_noticed(make, folder):
    spooled = make(9, followers=('a', 'b'))
    spooled.write(b'abc')
    spooled.reject(errors.SourceMismatch('wrong bytes'))
    spooled.follower('a').close()
    assert held(folder) == 3
    spooled.follower('b').close()
    assert files(folder) == []


def test_files_stay_open_for_a_writer_who_was_told_to_stop(make, folder):
    spooled = make(9)
    spooled.write(b'abc')
    spooled.abandon(errors.StagingError('staging was closed'))
    spooled.follower('a').close()
    assert held(folder) == 3
    spooled.close()
    assert files(folder) == []


def test_stopping_wakes_the_writer_and_every_follower(make, token):
    spooled = make(100_000, followers=('a', 'b', 'c'), window=4096)
    changed = threads.observe(spooled)
    sleeping = [
        threads.Running(read_all, spooled, name, 9000) for name in ('a', 'b')
    ]
    sleeping.append(threads.Running(spooled.write, bytes(100_000)))
    changed.wait_for_sleepers(3)
    token.cancel(errors.Cancelled('enough'))
    for each in sleeping:
        with pytest.raises(errors.Cancelled, match='enough'):
            each.result()


def test_stopping_wakes_one_who_waits_for_the_verdict(make, token):
    spooled = make(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    waiting = threads.Running(spooled.wait_approved)
    changed.wait_for_sleepers()
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        waiting.result()


def test_nothing_can_be_taken_after_the_copy_was_stopped(make, token):
    spooled = make(3)
    spooled.write(b'abc')
    spooled.approve()
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        read_all(spooled, 'a', 3)


def test_many_followers_at_random_speeds_all_get_the_image(make, folder):
    content = data.some(300_000)
    names = [f'f{number}' for number in range(6)]
    spooled = make(len(content), followers=names, window=32_768)
    start = threading.Barrier(len(names) + 1)

    def read(name, step):
        start.wait(threads.PATIENCE)
        return read_all(spooled, name, step)

    reading = [
        threads.Running(read, name, 997 * (number + 1) ** 3)
        for number, name in enumerate(names)
    ]

    def write():
        start.wait(threads.PATIENCE)
        for at in range(0, len(content), 10_007):
            spooled.write(content[at:at + 10_007])
        spooled.approve()

    threads.Running(write).result()
    assert [each.result() for each in reading] == [content] * len(names)
