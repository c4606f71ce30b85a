# SPDX-License-Identifier: Apache-2.0

"""Staging: how it ends, is tried again, and given up."""

import contextlib
import os
import threading

import pytest

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import patience
from glance_copy_plugin.transfer import reader
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream
from tests.parts.staged import CHUNK
from tests.parts.staged import follow
from tests.parts.staged import follow_all
from tests.parts.staged import IMAGE
from tests.parts.staged import read

# Closing and stopping.


def test_closing_half_way_leaves_nothing(stage, staging_folder):
    go_on = threading.Event()
    staged = stage(
        [Stream(IMAGE, paused_at=CHUNK, go_on=go_on)], followers=('a',)
    )
    staged.start()
    attempts = staged.attempts('a')
    source = reader.StagedReader(next(attempts))
    assert source.read(CHUNK) == IMAGE[:CHUNK]
    assert os.listdir(staging_folder)
    closing = threads.Running(staged.close)
    go_on.set()
    closing.result()
    assert not staging_folder.exists()
    with pytest.raises(errors.StagingError, match='closed'):
        source.read(CHUNK)
    attempts.close()


def test_closing_wakes_a_writer_that_waits_for_room(stage):
    staged = stage([Stream(IMAGE)], window=4096)
    staged.start()
    attempts = staged.attempts('a')
    reader.StagedReader(next(attempts)).read(1)
    threads.Running(staged.close).result()


def test_closing_twice_is_harmless(stage):
    staged = stage([Stream(IMAGE)])
    follow_all(staged)
    staged.close()
    staged.close()


def test_closing_leaves_what_another_staging_keeps_beside_it(
    stage, staging_folder
):
    first, second = stage([Stream(IMAGE)]), stage([Stream(IMAGE)])
    follow_all(first)
    follow_all(second)
    first.close()
    assert sum(each.stat().st_size for each in staging_folder.iterdir()) == (
        len(IMAGE)
    )
    second.close()
    assert not staging_folder.exists()


def test_closing_what_was_never_started_is_harmless(stage):
    stage([Stream(IMAGE)]).close()


def test_stopping_the_copy_ends_everybody_who_follows(stage, token):
    staged = stage([Stream(IMAGE)], followers=('a', 'b', 'idle'), window=4096)
    following = [threads.Running(follow, staged, n) for n in ('a', 'b')]
    staged.start()
    token.cancel(errors.Cancelled('enough'))
    for each in following:
        with pytest.raises(errors.Cancelled, match='enough'):
            each.result()


def test_one_who_asks_for_an_attempt_that_never_came_is_stopped(
    stage, token
):
    staged = stage([Stream(IMAGE)])
    changed = threads.observe(staged)
    following = threads.Running(follow, staged, 'a')
    changed.wait_for_sleepers()
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        following.result()


def test_an_error_while_counting_ends_the_copy_with_its_reason(stage, token):
    def refuse(count):
        raise errors.RecordsError('the image was deleted')

    with pytest.raises(errors.RecordsError, match='deleted'):
        follow_all(stage([Stream(IMAGE)], on_bytes=refuse))


def test_one_follower_that_gave_up_does_not_hold_up_the_others(stage):
    staged = stage([Stream(IMAGE)], window=4096)

    def give_up():
        for follower in staged.attempts('a'):
            reader.StagedReader(follower).read(1)
            raise errors.TargetError('no space left', store='a')

    giving_up = threads.Running(give_up)
    following = threads.Running(follow, staged, 'b')
    staged.start()
    with pytest.raises(errors.TargetError) as kept:
        giving_up.result()
    # As the copy does, the error is kept, with its traceback.
    assert kept.value.__traceback__ is not None
    assert following.result() == (IMAGE, 1)


def test_one_who_gave_up_does_not_hold_up_a_later_attempt(stage):
    go_on = threading.Event()
    bad = Stream(
        data.flipped(IMAGE, -1), 'bad', paused_at=CHUNK, go_on=go_on
    )
    staged = stage([bad, Stream(IMAGE, 'good')], window=CHUNK)

    def give_up():
        for follower in staged.attempts('a'):
            reader.StagedReader(follower).read(1)
            raise errors.TargetError('no space left', store='a')

    following = threads.Running(follow, staged, 'b')
    giving_up = threads.Running(give_up)
    staged.start()
    with pytest.raises(errors.TargetError):
        giving_up.result()
    go_on.set()
    assert following.result() == (IMAGE, 2)


def test_a_window_holds_for_all_attempts_together(stage, staging_folder):
    content = data.some(CHUNK)
    go_on = threading.Event()
    held = []

    class Good(Stream):
        def read_from(self, offset):
            held.append(list(staging_folder.iterdir()))
            yield from super().read_from(offset)

    bad = Stream(data.flipped(content, -1), 'bad', paused_at=0, go_on=go_on)
    staged = stage(
        [bad, Good(content, 'good')], data.expected(content),
        followers=('slow',), window=CHUNK,
    )
    slow = staged.attempts('slow')
    staged.start()
    rejected = next(slow)
    changed = threads.observe(rejected.spool)
    go_on.set()
    # The writer does, until what it wrote for nothing is gone.
    changed.wait_for_sleepers()
    assert list(staging_folder.iterdir())
    assert reader.StagedReader(next(slow)).read() == content
    assert held == [[]]
    slow.close()


def test_closing_wakes_one_who_waits_for_what_was_rejected(stage):
    bad = Stream(data.flipped(IMAGE[:4096], -1), 'bad')
    staged = stage(
        [bad, Stream(IMAGE[:4096], 'good')], data.expected(IMAGE[:4096]),
        window=4096, followers=('a',),
    )
    slow = staged.attempts('a')
    staged.start()
    with pytest.raises(errors.SourceMismatch):
        next(slow).spool.wait_approved()
    threads.Running(staged.close).result()
    slow.close()


# Trying again, and giving up.


def test_a_broken_source_is_read_on_where_it_broke(stage):
    source = Stream(IMAGE, breaks_at=CHUNK, breaks=2)
    got = follow_all(stage([source]))
    assert got == [(IMAGE, 1)] * 2
    assert source.offsets == [0, CHUNK, CHUNK]


def test_tries_that_got_further_do_not_count(stage):
    """The connection breaks after each MiB, more often than is allowed."""
    source = Stream(IMAGE, breaks_at=0)
    whole = source.read_from
    source.read_from = lambda offset: _a_chunk(whole, source, offset)
    assert follow_all(stage([source], retries=0)) == [(IMAGE, 1)] * 2
    assert len(source.offsets) == 4


def _a_chunk(read_from, source, offset):
    source._breaks_at = offset + CHUNK
    return read_from(offset)


@pytest.mark.parametrize('retries', [0, 2])
def test_only_so_many_tries_get_nowhere(stage, retries):
    source = Stream(IMAGE, breaks_at=5)
    with pytest.raises(errors.SourceError, match='reset'):
        follow_all(stage([source], retries=retries))
    assert len(source.offsets) == retries + 1


class Gone(Stream):
    def read_from(self, offset):
        self.offsets.append(offset)
        raise FileNotFoundError(2, 'No such file or directory')


def test_a_source_that_is_gone_is_not_tried_again(stage):
    gone = Gone(IMAGE, 'one')
    good = Stream(IMAGE, 'two', breaks_at=5, breaks=1)
    assert follow_all(stage([gone, good])) == [(IMAGE, 1)] * 2
    assert gone.offsets == [0]
    assert good.offsets == [0, 0]


class Clock:
    """The time that silences are measured with; a test changes it."""

    def __init__(self):
        self.now = 0
        self.looks = threading.Semaphore(0)

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """Have time stand still, unless a test has it go on."""
    made = Clock()

    class Silence(patience.Silence):
        def __init__(self):
            super().__init__(clock=made)

        @property
        def seconds(self):
            made.looks.release()
            return super().seconds

    monkeypatch.setattr(patience, 'Silence', Silence)
    return made


@pytest.fixture
def hanging():
    """A source that hangs half-way until the test ends."""
    go_on = threading.Event()
    yield Stream(IMAGE, 'one', paused_at=CHUNK, go_on=go_on)
    go_on.set()


def let_hang(clock, source):
    """Let far too much time pass while the source does not answer."""
    assert source.paused.wait(threads.PATIENCE)
    clock.now += 3600


def test_a_source_that_hangs_is_given_up_for_the_next(stage, clock, hanging):
    staged = stage([hanging, Stream(IMAGE, 'two')])
    following = [threads.Running(follow, staged, n) for n in ('a', 'b')]
    staged.start()
    let_hang(clock, hanging)
    assert [each.result() for each in following] == [(IMAGE, 2)] * 2


def test_only_a_source_that_hangs_fails_and_says_so(stage, clock, hanging):
    staged = stage([hanging])
    following = threads.Running(follow, staged, 'a')
    staged.start()
    let_hang(clock, hanging)
    with pytest.raises(errors.SourceHangs, match='has not answered') as hung:
        following.result()
    assert hung.value.store == 'one'


def test_who_does_not_read_is_no_reason_to_give_a_source_up(stage, clock):
    """With a window the source waits for the slowest, however long."""
    staged = stage([Stream(IMAGE)], followers=['a'], window=CHUNK, timeout=1)
    staged.start()
    attempts = staged.attempts('a')
    follower = next(attempts)
    changed = threads.observe(follower.spool)
    follower.extent(1)
    changed.wait_for_sleepers()
    for _each in range(3):
        clock.now += 3600
        assert clock.looks.acquire(timeout=threads.PATIENCE)
    assert read(reader.StagedReader(follower), CHUNK) == IMAGE


def test_who_failed_to_write_may_follow_again(stage):
    staged = stage([Stream(IMAGE)], followers=['a'])
    staged.start()
    with contextlib.closing(staged.attempts('a')) as attempts:
        reader.StagedReader(next(attempts)).read(CHUNK)
    assert staged.follow_again('a')
    assert follow(staged, 'a') == (IMAGE, 1)


def test_with_a_window_nothing_is_kept_to_follow_again(stage):
    staged = stage([Stream(IMAGE)], followers=['a'], window=CHUNK)
    assert not staged.follow_again('a')


def test_files_of_a_thread_that_hangs_are_closed_by_that_thread(
    stage, clock
):
    """Their numbers may belong to other files when it comes back."""
    go_on = threading.Event()
    hanging = Stream(IMAGE, paused_at=CHUNK, go_on=go_on)
    staged = stage([hanging], followers=['a'])
    staged.start()
    attempts = staged.attempts('a')
    fd = next(attempts).extent(1).fd
    (reading,) = [
        thread for thread in threading.enumerate()
        if thread.name == 'copy-image-source'
    ]
    let_hang(clock, hanging)
    with pytest.raises(errors.SourceHangs):
        next(attempts)
    inode = os.fstat(fd).st_ino
    staged.close()
    assert os.fstat(fd).st_ino == inode
    go_on.set()
    reading.join(threads.PATIENCE)
    assert not _is_open(fd, inode)


def _is_open(fd, inode):
    # Once closed, the number may be another file's at once.
    with contextlib.suppress(OSError):
        return os.fstat(fd).st_ino == inode
    return False
