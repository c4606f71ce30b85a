# SPDX-License-Identifier: Apache-2.0

import pytest

from glance_copy_plugin.transfer import progress

NAMES = ['s1', 'ceph-ssd', 'rz2.file.eu-1', 'Store 4']


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def make(clock, stores=('s1', 's2'), size=1000):
    made = progress.Progress(stores, clock=clock)
    made.begin(size)
    return made


def parsed(counted):
    return progress.parse(counted.render())


def test_every_state_of_a_store_survives_the_round_trip(clock):
    counted = make(clock, NAMES)
    counted.staged(700)
    counted.copied('ceph-ssd', 500)
    counted.ended('rz2.file.eu-1', progress.DONE)
    counted.ended('Store 4', progress.FAILED)
    shown = parsed(counted)
    assert shown['phase'] == 'copying'
    assert shown['size'] == 1000
    assert (shown['read'], shown['staged']) == (None, 700)
    assert shown['stores'] == {
        's1': {'state': 'queued', 'percent': None, 'bytes': None},
        'ceph-ssd': {'state': 'copying', 'percent': 50, 'bytes': 500},
        'rz2.file.eu-1': {'state': 'done', 'percent': None, 'bytes': None},
        'Store 4': {'state': 'failed', 'percent': None, 'bytes': None},
    }


@pytest.mark.parametrize('phase', [progress.PLANNING, progress.QUEUED])
def test_a_copy_that_has_not_begun_says_what_it_waits_for(clock, phase):
    counted = progress.Progress(['s1', 's2'], clock=clock)
    counted.phase = phase
    assert counted.render().startswith(f'{phase}: ')
    shown = parsed(counted)
    assert shown['phase'] == phase
    assert shown['percent'] is None
    assert set(shown['stores']) == {'s1', 's2'}


def test_an_image_that_is_read_where_it_is_is_not_called_staged(clock):
    counted = make(clock)
    counted.read(700)
    assert 'staged' not in counted.render()
    assert (parsed(counted)['read'], parsed(counted)['staged']) == (700, None)
    # Its store failed half-way, and the rest comes from elsewhere.
    counted.staged(800)
    assert (parsed(counted)['read'], parsed(counted)['staged']) == (None, 800)


@pytest.mark.parametrize('phase', [
    progress.PLANNING, progress.QUEUED, progress.COPYING,
])
def test_a_copy_that_was_taken_over_says_so_in_each_phase(clock, phase):
    counted = make(clock)
    counted.phase = phase
    before = parsed(counted)
    assert not before['taken_over']
    counted.taken_over = True
    assert parsed(counted) == {**before, 'taken_over': True}


def test_percent_is_the_share_of_all_bytes_into_all_stores(clock):
    counted = make(clock)
    counted.copied('s1', 1000)
    counted.copied('s2', 500)
    assert parsed(counted)['percent'] == 75


def test_percent_rises_to_a_hundred_and_never_falls(clock):
    counted = make(clock, size=977)
    seen = []
    for count in range(0, 978, 7):
        counted.staged(count)
        counted.copied('s1', count)
        counted.copied('s2', count // 2)
        clock.now += 1
        seen.append(parsed(counted)['percent'])
    for store in ('s1', 's2'):
        counted.ended(store, progress.DONE)
        seen.append(parsed(counted)['percent'])
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 100


def test_percent_counts_only_stores_that_can_still_succeed(clock):
    counted = make(clock)
    counted.copied('s1', 900)
    counted.copied('s2', 500)
    counted.ended('s1', progress.FAILED)
    assert parsed(counted)['percent'] == 50


def test_rate_and_time_left_follow_from_the_last_seconds(clock):
    counted = make(clock)
    counted.copied('s1', 0)
    counted.render()
    clock.now += 2
    counted.copied('s1', 100)
    counted.copied('s2', 100)
    shown = parsed(counted)
    assert shown['rate'] == 100
    assert shown['seconds_left'] == 18


def test_the_rate_is_that_of_the_last_seconds(clock):
    counted = make(clock, size=10 ** 6)
    for second in range(31):
        counted.copied('s1', 100 * second)
        rate = parsed(counted)['rate']
        clock.now += 1
    assert rate == 100


def test_the_rate_of_stores_begins_anew_behind_that_of_staging(clock):
    counted = make(clock)
    for count in (0, 500, 1000):
        counted.staged(count)
        counted.render()
        clock.now += 1
    counted.copied('s1', 300)
    assert parsed(counted)['rate'] == 100


def test_what_was_long_ago_does_not_count_for_the_rate(clock):
    counted = make(clock, size=10 ** 6)
    counted.copied('s1', 0)
    counted.render()
    counted.copied('s1', 500_000)
    for _each in range(30):
        clock.now += 1
        counted.render()
    assert parsed(counted)['rate'] == 0
    assert parsed(counted)['seconds_left'] is None


def test_staging_alone_has_a_rate_too(clock):
    counted = make(clock)
    counted.staged(0)
    counted.render()
    clock.now += 1
    counted.staged(100)
    shown = parsed(counted)
    assert shown['rate'] == 100
    assert shown['percent'] == 0
    assert shown['seconds_left'] == 20


def test_before_anything_moved_the_time_left_is_unknown(clock):
    shown = parsed(make(clock))
    assert shown['rate'] == 0
    assert shown['seconds_left'] is None


def test_nothing_is_left_when_everything_is_done(clock):
    counted = make(clock)
    counted.render()
    clock.now += 1
    for store in ('s1', 's2'):
        counted.ended(store, progress.DONE)
    shown = parsed(counted)
    assert shown['percent'] == 100
    assert shown['seconds_left'] == 0


def test_an_empty_image_is_complete_from_the_start(clock):
    counted = make(clock, size=0)
    counted.copied('s1', 0)
    shown = parsed(counted)
    assert shown['percent'] == 100
    assert shown['stores']['s1']['percent'] == 100


@pytest.mark.parametrize('message', [
    None, '', 'Copied 2 stores', 'Input/output error; s1 failed',
    'copied: 100 %', 'Image copied to s1, s2; failed: s3',
])
def test_other_messages_are_not_taken_for_progress(message):
    assert progress.parse(message) is None
