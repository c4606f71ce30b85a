# SPDX-License-Identifier: Apache-2.0

"""Staging: what becomes of the sources."""

import pytest

from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import sources
from tests.parts import data
from tests.parts import threads
from tests.parts.sources import Stream
from tests.parts.staged import CHUNK
from tests.parts.staged import follow
from tests.parts.staged import follow_all
from tests.parts.staged import IMAGE


@pytest.mark.parametrize('in_place', [True, False])
@pytest.mark.parametrize('size', [0, 1, CHUNK, 3 * CHUNK + 17])
def test_an_image_of_any_size_reaches_every_follower(
    stage, local, size, in_place
):
    content = data.some(size)
    counts = []
    staged = stage(
        [local(content, 'src', in_place)], data.expected(content),
        on_bytes=counts.append,
    )
    assert follow_all(staged) == [(content, 1)] * 2
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


def test_space_is_asked_for_before_anything_is_written(
    stage, staging_folder, local
):
    asked = []

    def reserve():
        asked.append(staging_folder.exists())

    staged = stage([Stream(IMAGE)], memory=CHUNK, reserve=reserve)
    staged.start()
    assert follow(staged, 'a') == (IMAGE, 1)
    assert asked == [False]
    assert staging_folder.exists()
    assert follow(staged, 'b') == (IMAGE, 1)
    borrowed = stage([local(IMAGE, 'src')], reserve=reserve)
    assert follow_all(borrowed) == [(IMAGE, 1)] * 2
    assert asked == [False]


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


@pytest.mark.parametrize('in_place', [True, False])
@pytest.mark.parametrize('what', list(wrong_bytes()))
def test_wrong_bytes_are_left_for_the_next_source(
    stage, local, what, in_place
):
    bad = local(wrong_bytes()[what], 'bad', in_place)
    staged = stage([bad, Stream(IMAGE, 'good')])
    assert follow_all(staged) == [(IMAGE, 2)] * 2


def test_a_local_file_that_is_too_long_is_not_even_read(stage, local):
    counts = []
    staged = stage([local(IMAGE + b'x', 'src')], on_bytes=counts.append)
    with pytest.raises(errors.SourceMismatch, match='more than'):
        follow_all(staged)
    assert counts == []


@pytest.mark.parametrize('in_place', [True, False])
@pytest.mark.parametrize('size', [0, 1, CHUNK, len(IMAGE) - 1])
def test_a_source_that_ends_early_is_completed_by_the_next(
    stage, local, size, in_place
):
    short = local(IMAGE[:size], 'short', in_place)
    staged = stage([short, Stream(IMAGE, 'good')])
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


def test_an_error_that_nobody_expected_ends_the_copy(stage):
    staged = stage([Stream(IMAGE)], algorithms=('none',))
    with pytest.raises(errors.StagingError, match='unsupported hash type'):
        follow_all(staged)


def test_credentials_in_the_error_of_a_source_are_masked(stage):
    class Secretive(Stream):
        def read_from(self, offset):
            raise OSError(f'GET s3://key:{"se/cret"}@host/bucket failed')
            yield

    with pytest.raises(errors.SourceError) as raised:
        follow_all(stage([Secretive(IMAGE, 'src')]))
    assert 'se/cret' not in str(raised.value)
