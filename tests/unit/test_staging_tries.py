# SPDX-License-Identifier: Apache-2.0

"""Staging: what is tried again, and who is given up."""

import contextlib
import os
import threading

import pytest

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import staged_reader
from glance_copy_plugin.transfer import timeouts
from tests.parts import threads
from tests.parts.sources import Stream
from tests.parts.staged import CHUNK
from tests.parts.staged import follow
from tests.parts.staged import follow_all
from tests.parts.staged import IMAGE
from tests.parts.staged import read


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


@pytest.fixture
def retried():
    """What is tried again."""
    told = []

    class Observer(instrumentation.Observer):
        def retried(self, what):
            told.append(what)

    before = instrumentation.observer()
    instrumentation.use(Observer())
    yield told
    instrumentation.use(before)


@pytest.mark.parametrize('breaks_at', [5, CHUNK])
def test_each_further_try_is_told(stage, retried, breaks_at):
    source = Stream(IMAGE, breaks_at=breaks_at, breaks=2)
    assert follow_all(stage([source])) == [(IMAGE, 1)] * 2
    assert retried == [instrumentation.READING] * 2


class Response:
    """What a driver reads from, which keeps a connection until closed."""

    def __init__(self, chunks):
        self.chunks = chunks
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        self.closed = True


@pytest.mark.parametrize('breaks', [0, 1])
def test_what_was_read_from_is_closed(stage, breaks):
    source = Stream(IMAGE, breaks_at=5, breaks=breaks)
    read_from, opened = source.read_from, []

    def open_(offset):
        opened.append(Response(read_from(offset)))
        return opened[-1]

    source.read_from = open_
    assert follow_all(stage([source])) == [(IMAGE, 1)] * 2
    assert [each.closed for each in opened] == [True] * (breaks + 1)


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

    class Watched(timeouts.IdleTimer):
        def __init__(self):
            super().__init__(clock=made)

        @property
        def seconds(self):
            made.looks.release()
            return super().seconds

    monkeypatch.setattr(timeouts, 'IdleTimer', Watched)
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
    go_on = threading.Event()
    source = Stream(IMAGE, paused_at=0, go_on=go_on)
    staged = stage([source], followers=['a'], window=CHUNK, timeout=1)
    staged.start()
    attempts = staged.attempts('a')
    follower = next(attempts)
    changed = threads.observe(follower.spool)
    go_on.set()
    # The writer does, for room.
    changed.wait_for_sleepers()
    clock.now += 3600
    while clock.looks.acquire(blocking=False):
        """It was looked at before."""
    for _each in range(2):
        assert clock.looks.acquire(timeout=threads.PATIENCE)
    assert read(staged_reader.StagedReader(follower), CHUNK) == IMAGE


def test_a_file_that_a_hanging_thread_reads_is_closed_by_that_thread(
    stage, clock, local, monkeypatch
):
    """Its number may belong to another file when the thread comes back."""
    hangs, go_on = threading.Event(), threading.Event()
    preadv = os.preadv

    def hang_half_way(fd, buffers, offset):
        if offset:
            hangs.set()
            assert go_on.wait(threads.PATIENCE)
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, 'preadv', hang_half_way)
    staged = stage([local(IMAGE, 'one')], followers=['a'])
    before = set(threading.enumerate())
    staged.start()
    attempts = staged.attempts('a')
    fd = next(attempts).extent(1).fd
    (reading,) = [
        thread for thread in set(threading.enumerate()) - before
        if thread.name == 'copy-image-source'
    ]
    assert hangs.wait(threads.PATIENCE)
    clock.now += 3600
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
