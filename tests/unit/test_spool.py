# SPDX-License-Identifier: Apache-2.0

"""A spool: following it, its files, and its ends."""

import os
import stat

import pytest

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import staged_reader
from glance_copy_plugin.transfer import timeouts
from tests.parts import data
from tests.parts import filesystems
from tests.parts import threads
from tests.parts.spooled import files
from tests.parts.spooled import half_spilled
from tests.parts.spooled import held
from tests.parts.spooled import read_all

# Following.


def test_bytes_can_be_taken_as_soon_as_they_are_written(spool_of):
    spooled = spool_of(6)
    follower = spooled.follower('a')
    spooled.write(b'abc')
    assert follower.take(3) == b'abc'
    spooled.write(b'def')
    assert follower.take(3) == b'def'


def test_a_follower_that_is_ahead_is_woken_by_the_next_bytes(spool_of):
    spooled = spool_of(6)
    changed = threads.observe(spooled)
    taking = threads.Running(spooled.follower('a').take, 6)
    changed.wait_for_sleepers()
    spooled.write(b'abc')
    changed.wait_for_sleepers()
    spooled.write(b'def')
    assert taking.result() == b'abcdef'


def test_the_end_is_withheld_until_the_whole_is_approved(spool_of):
    spooled = spool_of(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    follower = spooled.follower('a')
    follower.take(3)
    asking = threads.Running(follower.extent, 10)
    changed.wait_for_sleepers()
    spooled.approve()
    assert asking.result() is None


def test_the_last_byte_is_not_read_before_the_whole_is_approved(spool_of):
    spooled = spool_of(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    source = staged_reader.StagedReader(spooled.follower('a'))
    assert source.read(2) == b'ab'
    reading = threads.Running(source.read, 1)
    changed.wait_for_sleepers()
    assert not source.finished
    spooled.approve()
    assert reading.result() == b'c'
    assert source.finished
    assert source.read(1) == b''


def test_a_complete_image_that_is_wrong_is_never_handed_out(spool_of):
    spooled = spool_of(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    source = staged_reader.StagedReader(spooled.follower('a'))
    reading = threads.Running(source.read)
    changed.wait_for_sleepers()
    wrong = errors.SourceMismatch('wrong bytes')
    spooled.reject(wrong)
    with pytest.raises(errors.SourceMismatch):
        reading.result()
    assert source.error is wrong
    assert not source.finished


def test_an_empty_image_ends_when_it_is_approved(spool_of, folder):
    spooled = spool_of(0)
    changed = threads.observe(spooled)
    reading = threads.Running(read_all, spooled, 'a', 10)
    changed.wait_for_sleepers()
    spooled.approve()
    assert reading.result() == b''
    assert files(folder) == []


@pytest.mark.parametrize('step', [1, 7, 64, 1000, -1, None])
def test_reads_are_exactly_as_long_as_was_asked_for(spool_of, step):
    content = data.some(1000)
    spooled = spool_of(1000)
    for start in range(0, 1000, 33):
        spooled.write(content[start:start + 33])
    spooled.approve()
    source = staged_reader.StagedReader(spooled.follower('a'))
    wanted = step if step and step > 0 else 1000
    lengths = []
    while chunk := source.read(step):
        lengths.append(len(chunk))
    assert set(lengths[:-1]) <= {wanted}
    assert sum(lengths) == 1000


def test_iterating_over_a_reader_gives_the_whole_image(spool_of):
    spooled = spool_of(5)
    spooled.write(b'abcde')
    spooled.approve()
    counts = []
    source = staged_reader.StagedReader(spooled.follower('a'), counts.append)
    assert b''.join(source) == b'abcde'
    assert counts[-1] == 5


def test_followers_do_not_disturb_one_another(spool_of):
    content = data.some(100_000)
    spooled = spool_of(100_000, followers=('a', 'b', 'c'))
    reading = [
        threads.Running(read_all, spooled, name, step)
        for name, step in (('a', 1000), ('b', 65536), ('c', 100_001))
    ]
    for start in range(0, 100_000, 4097):
        spooled.write(content[start:start + 4097])
    spooled.approve()
    assert [each.result() for each in reading] == [content] * 3


def test_a_reader_that_has_begun_has_not_finished(spool_of):
    spooled = spool_of(2)
    spooled.write(b'ab')
    source = staged_reader.StagedReader(spooled.follower('a'))
    source.read(1)
    assert not source.finished


def test_one_who_has_stopped_following_gets_nothing(spool_of):
    spooled = spool_of(3)
    spooled.write(b'abc')
    follower = spooled.follower('a')
    follower.close()
    with pytest.raises(errors.StagingError, match='nothing is staged'):
        follower.extent(1)


def test_a_follower_owes_an_answer_unless_it_waits_for_bytes(spool_of):
    now = [0]
    spooled = spool_of(6)
    changed = threads.observe(spooled)
    follower = spooled.follower('a')
    follower.idle = timeouts.IdleTimer(clock=lambda: now[0])
    waiting = threads.Running(follower.wait_begun)
    changed.wait_for_sleepers()
    spooled.write(b'abc')
    waiting.result()
    now[0] = 5
    assert follower.idle.seconds == 5
    follower.take(3)
    waiting = threads.Running(follower.extent, 3)
    changed.wait_for_sleepers()
    now[0] = 100
    assert follower.idle.seconds == 0
    spooled.write(b'def')
    waiting.result()
    now[0] = 107
    assert follower.idle.seconds == 7


# What is on the disk.


def test_staged_files_can_be_read_by_their_owner_only(spool_of, folder):
    previous = os.umask(0)
    try:
        half_spilled(spool_of, b'abcd')
    finally:
        os.umask(previous)
    assert {stat.S_IMODE(each.stat().st_mode) for each in files(folder)} == {
        0o600
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_fits_into_memory_is_never_written(spool_of, folder):
    spooled = spool_of(3, followers=('quick', 'slow'), memory=4)
    spooled.write(b'abc')
    spooled.follower('quick').take(3)
    assert not folder.exists()


def test_the_writer_waits_for_the_only_one_who_reads(spool_of, folder):
    content = data.some(10_000)
    spooled = spool_of(10_000, memory=4096)
    changed = threads.observe(spooled)
    writing = threads.Running(spooled.write, content)
    changed.wait_for_sleepers()
    assert spooled.position == 4096
    assert spooled.follower('a').take(10_000) == content
    writing.result()
    assert not folder.exists()


def test_what_a_slower_one_still_needs_goes_to_the_disk(spool_of, folder):
    content = data.some(10_000)
    spooled = half_spilled(spool_of, content)
    assert held(folder) == 5000
    spooled.approve()
    assert read_all(spooled, 'slow', 300) == content
    assert files(folder) == []


def test_zeroes_take_no_room_on_the_disk(spool_of, folder):
    content = bytes(1024 ** 2) + data.some(1024 ** 2)
    spooled = half_spilled(spool_of, content)
    assert held(folder) == 1024 ** 2
    assert sum(each.stat().st_blocks for each in files(folder)) == 0
    assert spooled.follower('slow').extent(1024 ** 2).hole() == 1024 ** 2
    assert spooled.follower('slow').take(2 * 1024 ** 2) == content


def test_who_catches_up_while_space_is_waited_for_needs_none(
    spool_of, folder
):
    spooled = spool_of(
        8, followers=('quick', 'slow'), memory=4,
        reserve=lambda: spooled.follower('slow').take(4),
    )
    spooled.write(b'abcd')
    spooled.follower('quick').take(4)
    spooled.write(b'efgh')
    assert not folder.exists()
    assert spooled.follower('slow').take(4) == b'efgh'


def test_closing_removes_every_file(spool_of, folder):
    spooled = half_spilled(spool_of, b'abcd')
    assert files(folder)
    spooled.close()
    assert files(folder) == []


def test_no_space_is_an_error_that_says_what_to_do(spool_of):
    with filesystems.small('1m') as place:
        with pytest.raises(
            errors.StagingError, match='No space left.*staging_window'
        ):
            half_spilled(
                spool_of, os.urandom(4 * 1024 ** 2), place=place / 'copy'
            ).close()
        assert files(place / 'copy')


def test_a_folder_that_cannot_be_made_is_an_error_of_the_staging_area(
    spool_of, tmp_path
):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(errors.StagingError, match='Not a directory'):
        half_spilled(spool_of, b'abcd', place=tmp_path / 'file' / 'below')


# Ends.


def test_rejecting_fails_every_follower_for_the_same_reason(spool_of):
    spooled = spool_of(9, followers=('a', 'b'))
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


def test_rejected_files_go_when_all_followers_have_noticed(spool_of, folder):
    spooled = half_spilled(spool_of, b'abcd')
    spooled.reject(errors.SourceMismatch('wrong bytes'))
    spooled.follower('quick').close()
    assert held(folder) == 2
    spooled.follower('slow').close()
    assert files(folder) == []


def test_a_source_stays_open_for_a_reader_who_was_told_to_stop(
    spool_of, borrowed
):
    spooled = spool_of(3)
    fd = borrowed(b'abc')
    spooled.borrow(fd)
    spooled.abandon(errors.StagingError('staging was closed'))
    spooled.follower('a').close()
    assert os.pread(fd, 3, 0) == b'abc'
    spooled.close()
    with pytest.raises(OSError, match='Bad file descriptor'):
        os.fstat(fd)


def test_stopping_wakes_the_writer_and_every_follower(spool_of, token):
    spooled = spool_of(100_000, followers=('a', 'b', 'c'), window=4096)
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


def test_stopping_wakes_one_who_waits_for_the_verdict(spool_of, token):
    spooled = spool_of(3)
    changed = threads.observe(spooled)
    spooled.write(b'abc')
    waiting = threads.Running(spooled.wait_approved)
    changed.wait_for_sleepers()
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        waiting.result()


@pytest.mark.parametrize('content', [b'abc', b''])
def test_nothing_can_be_taken_after_the_copy_was_stopped(
    spool_of, token, content
):
    spooled = spool_of(len(content))
    spooled.write(content)
    spooled.approve()
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        read_all(spooled, 'a', 3)
