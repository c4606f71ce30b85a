# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import threading
import time

import pytest

from glance_copy_plugin.transfer import cancel
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import filling
from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import reader
from glance_copy_plugin.transfer import sources
from glance_copy_plugin.transfer import staging
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream

CHUNK = filling.CHUNK_BYTES
IMAGE = data.some(3 * CHUNK + 17)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'staging'


@pytest.fixture
def token():
    return cancel.CancelToken()


@pytest.fixture
def stage(folder, token):
    """Return a function that makes a Staging, closed after the test."""
    made = []

    def staging_of(
        candidates, expected=None, *, followers=('a', 'b'), window=None,
        borrow=True, algorithms=(), on_bytes=None, **options,
    ):
        made.append(staging.Staging(
            candidates, expected or data.expected(IMAGE), followers,
            options=staging.StagingOptions(
                folder=str(folder), window=window, borrow=borrow,
                algorithms=algorithms, retry_interval=0.01, **options,
            ),
            limit=limits.BandwidthLimit(None, token), cancel=token,
            on_bytes=on_bytes,
        ))
        return made[-1]

    yield staging_of
    for each in made:
        each.close()
    assert not folder.exists()


@pytest.fixture
def local(tmp_path):
    """Return a function that makes a source which is a local file."""

    def source(content, store):
        path = tmp_path / f'in-{store}'
        path.write_bytes(content)
        return sources.FileSource(str(path), store)

    return source


def follow(staged, name, step=300_000):
    """Read as a store does; return the image and how often it was begun."""
    for begun, follower in enumerate(staged.attempts(name), 1):
        try:
            return read(reader.StagedReader(follower), step), begun
        except errors.SourceError:
            """The next attempt, if there is one."""
    raise AssertionError('attempts() ended without raising')


def read(source, step):
    return b''.join(iter(lambda: source.read(step), b''))


def follow_all(staged, names=('a', 'b')):
    """Let everybody follow at the same time; return what each one got."""
    following = [threads.Running(follow, staged, name) for name in names]
    staged.start()
    return [each.result() for each in following]


@pytest.mark.parametrize('borrow', [True, False])
@pytest.mark.parametrize('size', [
    0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17,
])
def test_an_image_of_any_size_reaches_every_follower(
    stage, local, folder, size, borrow
):
    content = data.some(size)
    counts = []
    staged = stage(
        [local(content, 'src')], data.expected(content), borrow=borrow,
        on_bytes=counts.append,
    )
    assert follow_all(staged) == [(content, 1)] * 2
    assert folder.exists() == bool(size and not borrow)
    assert counts == sorted(counts)
    assert size == 0 or counts[-1] == size


def test_the_image_is_hashed_with_every_algorithm_that_was_asked_for(stage):
    staged = stage([Stream(IMAGE)], algorithms=('md5',))
    follow_all(staged)
    assert staged.hexdigests == {
        'sha512': data.sha512(IMAGE), 'md5': data.md5(IMAGE),
    }


def test_an_image_passes_through_a_window(stage):
    staged = stage([Stream(IMAGE)], window=CHUNK)
    assert follow_all(staged) == [(IMAGE, 1)] * 2


def test_an_image_without_a_digest_is_checked_by_its_size(stage):
    right = stage([Stream(IMAGE)], digests.Expected(size=len(IMAGE)))
    assert follow_all(right) == [(IMAGE, 1)] * 2
    wrong = stage([Stream(IMAGE)], digests.Expected(size=len(IMAGE) + 1))
    with pytest.raises(errors.SourceError, match='ends at byte 3145745'):
        follow_all(wrong)


# Sources that fail.


@pytest.mark.parametrize('breaks_at', [0, 1, CHUNK, 2 * CHUNK + 5])
def test_reading_goes_on_elsewhere_at_the_same_offset(stage, breaks_at):
    first = Stream(IMAGE, 'first', breaks_at=breaks_at)
    second = Stream(IMAGE, 'second')
    staged = stage([first, second])
    assert follow_all(staged) == [(IMAGE, 1)] * 2
    assert first.offsets == [0]
    # Bytes of a chunk that was not complete are read again.
    assert second.offsets == [breaks_at // CHUNK * CHUNK]


def test_reading_goes_on_in_a_local_file_at_the_same_offset(stage, local):
    first = Stream(IMAGE, 'first', breaks_at=CHUNK + 5)
    staged = stage([first, local(IMAGE, 'second')])
    assert follow_all(staged) == [(IMAGE, 1)] * 2


def test_reading_goes_on_behind_a_local_file_that_is_too_short(stage, local):
    second = Stream(IMAGE, 'second')
    staged = stage([local(IMAGE[:CHUNK + 5], 'first'), second])
    assert follow_all(staged) == [(IMAGE, 1)] * 2
    assert second.offsets == [CHUNK + 5]


def test_a_window_survives_the_change_from_a_local_file(stage, local):
    staged = stage(
        [local(IMAGE[:CHUNK], 'first'), Stream(IMAGE, 'second')],
        window=CHUNK,
    )
    assert follow_all(staged) == [(IMAGE, 1)] * 2


def wrong_bytes():
    return {
        'a flipped bit at the start': data.flipped(IMAGE, 0),
        'a flipped bit in the last byte': data.flipped(IMAGE, -1),
        'longer by a byte': IMAGE + b'x',
        'longer by a chunk': IMAGE + bytes(CHUNK),
        'other bytes of the same size': bytes(len(IMAGE)),
    }


@pytest.mark.parametrize('borrow', [True, False])
@pytest.mark.parametrize('what', list(wrong_bytes()))
def test_wrong_bytes_are_left_for_the_next_source(
    stage, local, what, borrow
):
    bad = local(wrong_bytes()[what], 'bad')
    staged = stage([bad, Stream(IMAGE, 'good')], borrow=borrow)
    assert follow_all(staged) == [(IMAGE, 2)] * 2


def test_a_local_file_that_is_too_long_is_not_even_read(stage, local):
    counts = []
    staged = stage([local(IMAGE + b'x', 'src')], on_bytes=counts.append)
    with pytest.raises(errors.SourceMismatch, match='more than'):
        follow_all(staged)
    assert counts == []


@pytest.mark.parametrize('borrow', [True, False])
@pytest.mark.parametrize('size', [0, 1, CHUNK, len(IMAGE) - 1])
def test_a_source_that_ends_early_is_completed_by_the_next(
    stage, local, size, borrow
):
    short = local(IMAGE[:size], 'short')
    staged = stage([short, Stream(IMAGE, 'good')], borrow=borrow)
    assert follow_all(staged) == [(IMAGE, 1)] * 2


def test_a_mixed_image_that_is_wrong_is_read_again_from_one_source(stage):
    bad = Stream(data.flipped(IMAGE, 0), 'bad', breaks_at=2 * CHUNK)
    good = Stream(IMAGE, 'good')
    staged = stage([bad, good])
    assert follow_all(staged) == [(IMAGE, 2)] * 2
    assert good.offsets == [2 * CHUNK, 0]


def test_every_source_gets_its_turn(stage):
    staged = stage([
        Stream(IMAGE, 'one', breaks_at=CHUNK),
        Stream(data.flipped(IMAGE, -1), 'two'),
        Stream(IMAGE[:-1], 'three'),
        Stream(IMAGE, 'four'),
    ])
    assert follow_all(staged) == [(IMAGE, 3)] * 2


def test_a_missing_file_is_left_for_the_next_source(stage, tmp_path):
    missing = sources.FileSource(str(tmp_path / 'nowhere'), 'missing')
    staged = stage([missing, Stream(IMAGE, 'good')])
    assert follow_all(staged) == [(IMAGE, 1)] * 2


def test_a_folder_in_place_of_the_file_is_left_for_the_next(stage, tmp_path):
    odd = sources.FileSource(str(tmp_path), 'odd')
    staged = stage([odd, Stream(IMAGE, 'good')])
    assert follow_all(staged) == [(IMAGE, 1)] * 2


def test_the_error_names_every_store_when_none_is_left(stage, tmp_path):
    staged = stage([
        sources.FileSource(str(tmp_path / 'nowhere'), 'one'),
        Stream(IMAGE, 'two', breaks_at=CHUNK),
        Stream(data.flipped(IMAGE, -1), 'three'),
    ])
    following = [threads.Running(follow, staged, n) for n in ('a', 'b')]
    staged.start()
    for each in following:
        with pytest.raises(errors.SourceError) as raised:
            each.result()
        reason = raised.value.reason
        assert 'one: cannot be read: No such file' in reason
        assert 'two: cannot be read: the connection was reset' in reason
        assert 'three: the data has another sha512' in reason


def test_the_error_of_an_only_source_is_given_as_it_is(stage):
    staged = stage([Stream(IMAGE[:5], 'src')])
    with pytest.raises(errors.SourceError) as raised:
        follow_all(staged)
    assert raised.value.store == 'src'
    assert raised.value.reason == 'ends at byte 5, the image has 3145745'


def test_without_any_source_everybody_is_told(stage):
    with pytest.raises(errors.SourceError, match='no location'):
        follow_all(stage([]))


def test_credentials_in_the_error_of_a_source_are_masked(stage):
    class Secretive(Stream):
        def read_from(self, offset):
            raise OSError(f'GET s3://key:{"se/cret"}@host/bucket failed')
            yield

    with pytest.raises(errors.SourceError) as raised:
        follow_all(stage([Secretive(IMAGE, 'src')]))
    assert 'se/cret' not in str(raised.value)


# Ends.


def test_closing_half_way_leaves_nothing(stage, folder):
    go_on = threading.Event()
    staged = stage(
        [Stream(IMAGE, paused_at=CHUNK, go_on=go_on)], followers=('a',)
    )
    staged.start()
    attempts = staged.attempts('a')
    source = reader.StagedReader(next(attempts))
    assert source.read(CHUNK) == IMAGE[:CHUNK]
    assert os.listdir(folder)
    closing = threads.Running(staged.close)
    go_on.set()
    closing.result()
    assert not folder.exists()
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
    stage, folder
):
    first, second = stage([Stream(IMAGE)]), stage([Stream(IMAGE)])
    follow_all(first)
    follow_all(second)
    first.close()
    assert sum(each.stat().st_size for each in folder.iterdir()) == (
        len(IMAGE)
    )
    second.close()
    assert not folder.exists()


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


def test_a_window_holds_for_all_attempts_together(stage, folder):
    content = data.some(CHUNK)
    go_on = threading.Event()
    held = []

    class Good(Stream):
        def read_from(self, offset):
            held.append(list(folder.iterdir()))
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
    assert list(folder.iterdir())
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


def test_a_source_that_hangs_is_given_up_for_the_next(stage):
    go_on = threading.Event()
    hanging = Stream(IMAGE, 'one', paused_at=CHUNK, go_on=go_on)
    staged = stage([hanging, Stream(IMAGE, 'two')], timeout=0.1)
    assert follow_all(staged) == [(IMAGE, 2)] * 2
    go_on.set()


def test_only_a_source_that_hangs_fails_and_says_so(stage):
    go_on = threading.Event()
    staged = stage(
        [Stream(IMAGE, 'one', paused_at=CHUNK, go_on=go_on)], timeout=0.1
    )
    with pytest.raises(errors.SourceHangs, match='has not answered') as hung:
        follow_all(staged)
    assert hung.value.store == 'one'
    go_on.set()


def test_who_does_not_read_is_no_reason_to_give_a_source_up(stage):
    """With a window the source waits for the slowest, however long."""
    staged = stage(
        [Stream(IMAGE)], followers=['a'], window=CHUNK, timeout=0.1
    )
    staged.start()
    attempts = staged.attempts('a')
    follower = next(attempts)
    follower.extent(1)
    threading.Event().wait(0.5)
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


def test_files_of_a_thread_that_hangs_are_closed_by_that_thread(stage):
    """Their numbers may belong to other files when it comes back."""
    go_on = threading.Event()
    staged = stage(
        [Stream(IMAGE, paused_at=CHUNK, go_on=go_on)], followers=['a'],
        timeout=0.1,
    )
    staged.start()
    attempts = staged.attempts('a')
    fd = next(attempts).extent(1).fd
    with pytest.raises(errors.SourceHangs):
        next(attempts)
    inode = os.fstat(fd).st_ino
    staged.close()
    assert os.fstat(fd).st_ino == inode
    go_on.set()
    deadline = time.monotonic() + 30
    while _is_open(fd, inode):
        assert time.monotonic() < deadline


def _is_open(fd, inode):
    # Once closed, the number may be another file's at once.
    with contextlib.suppress(OSError):
        return os.fstat(fd).st_ino == inode
    return False
