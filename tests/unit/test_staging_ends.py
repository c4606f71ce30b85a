# SPDX-License-Identifier: Apache-2.0

"""Staging: how it ends."""

import os
import threading

import pytest

from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import staged_reader
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream
from tests.parts.staged import CHUNK
from tests.parts.staged import follow
from tests.parts.staged import follow_all
from tests.parts.staged import IMAGE


def test_closing_half_way_leaves_nothing(stage, staging_folder):
    go_on = threading.Event()
    staged = stage(
        [Stream(IMAGE, paused_at=CHUNK, go_on=go_on)], memory=CHUNK // 2
    )
    staged.start()
    attempts = staged.attempts('a')
    source = staged_reader.StagedReader(next(attempts))
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
    staged_reader.StagedReader(next(attempts)).read(1)
    threads.Running(staged.close).result()


def test_closing_twice_is_harmless(stage):
    staged = stage([Stream(IMAGE)])
    follow_all(staged)
    staged.close()
    staged.close()


def test_closing_leaves_what_another_staging_keeps_beside_it(
    stage, staging_folder
):
    first, second = (stage([Stream(IMAGE)], memory=CHUNK) for _each in 'ab')
    for each in (first, second):
        each.start()
        follow(each, 'a')
    before = sorted(staging_folder.iterdir())
    first.close()
    assert 0 < len(list(staging_folder.iterdir())) < len(before)
    assert follow(second, 'b') == (IMAGE, 1)
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
            staged_reader.StagedReader(follower).read(1)
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
            staged_reader.StagedReader(follower).read(1)
            raise errors.TargetError('no space left', store='a')

    following = threads.Running(follow, staged, 'b')
    giving_up = threads.Running(give_up)
    staged.start()
    with pytest.raises(errors.TargetError):
        giving_up.result()
    go_on.set()
    assert following.result() == (IMAGE, 2)


def test_a_window_holds_for_all_attempts_together(stage, staging_folder):
    content = data.some(2 * CHUNK)
    go_on = threading.Event()
    held = []

    class Good(Stream):
        def read_from(self, offset):
            held.append(list(staging_folder.iterdir()))
            yield from super().read_from(offset)

    bad = Stream(data.flipped(content, -1), 'bad', paused_at=0, go_on=go_on)
    staged = stage(
        [bad, Good(content, 'good')], data.expected(content),
        followers=('quick', 'slow'), window=CHUNK,
    )
    slow = staged.attempts('slow')
    staged.start()
    rejected = next(slow).spool
    changed = threads.observe(rejected)
    quick = threads.Running(follow, staged, 'quick')
    go_on.set()
    threads.until(changed, lambda: rejected.error)
    assert list(staging_folder.iterdir())
    assert staged_reader.StagedReader(next(slow)).read() == content
    assert quick.result() == (content, 2)
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
