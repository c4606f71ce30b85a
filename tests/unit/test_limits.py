# SPDX-License-Identifier: Apache-2.0

import itertools
import types

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import limits
from tests.parts import threads


class Sleeping(cancel_token.CancelToken):
    """Notes how long it was asked to wait, instead of waiting."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)


# Bandwidth.


@pytest.fixture
def now(monkeypatch):
    """The time, for a test to change."""
    made = [100.0]
    monkeypatch.setattr(
        limits, 'time', types.SimpleNamespace(monotonic=lambda: made[0])
    )
    return made


def test_without_a_rate_nothing_ever_waits():
    token = Sleeping()
    limit = limits.BandwidthLimit(None, token)
    limit.consume(10 ** 15)
    assert token.waits == []
    assert limit.chunk(4096) == 4096


def test_bytes_are_paid_for_at_the_rate_that_was_set(now):
    token = Sleeping()
    limits.BandwidthLimit(1000, token).consume(3000)
    assert token.waits == [3]


def test_what_was_not_slept_is_owed_by_the_next(now):
    token = Sleeping()
    limit = limits.BandwidthLimit(1000, token)
    for _each in range(3):
        limit.consume(10_000)
        now[0] += 1
    assert token.waits == [10, 19, 28]


def test_what_was_not_used_in_time_is_not_saved_up(now):
    token = Sleeping()
    limit = limits.BandwidthLimit(1000, token)
    limit.consume(1000)
    now[0] += 3600
    limit.consume(2000)
    assert token.waits == [1, 2]


def test_a_stopped_copy_does_not_wait_for_its_bandwidth(token):
    limit = limits.BandwidthLimit(1, token)
    waiting = threads.Running(limit.consume, 10 ** 9)
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        waiting.result()


@pytest.mark.parametrize(('rate', 'chunk'), [
    (1, 1), (3, 1), (4000, 1000), (10 ** 9, 65536),
])
def test_chunks_are_small_enough_to_keep_the_rate_even(token, rate, chunk):
    assert limits.BandwidthLimit(rate, token).chunk(65536) == chunk


# Places.


def test_no_limit_gives_a_place_to_everybody(token):
    slots = limits.Slots(None)
    for _each in range(1000):
        slots.acquire(token)
    slots.release()


def test_a_free_place_is_taken_without_a_word(token):
    slots = limits.Slots(1)
    slots.acquire(token, on_wait=lambda: pytest.fail('it did not wait'))


def test_one_who_has_to_wait_says_so_first(token):
    slots = limits.Slots(1)
    changed = threads.observe(slots, '_lock')
    slots.acquire(token)
    said = []
    waiting = threads.Running(slots.acquire, token, lambda: said.append(1))
    changed.wait_for_sleepers()
    assert said == [1]
    slots.release()
    waiting.result()


def test_places_are_given_first_come_first_served(token):
    slots = limits.Slots(1)
    changed = threads.observe(slots, '_lock')
    slots.acquire(token)
    order, waiting = [], []

    def take(number):
        slots.acquire(token)
        order.append(number)
        slots.release()

    for number in range(5):
        waiting.append(threads.Running(take, number))
        changed.wait_for_sleepers(number + 1)
    slots.release()
    for each in waiting:
        each.result()
    assert order == [0, 1, 2, 3, 4]


def test_no_more_places_are_given_than_there_are(token):
    slots = limits.Slots(2)
    counter, most = itertools.count(), []
    held = set()

    def take():
        for _each in range(50):
            slots.acquire(token)
            ticket = next(counter)
            held.add(ticket)
            most.append(len(held))
            held.discard(ticket)
            slots.release()

    waiting = [threads.Running(take) for _each in range(6)]
    for each in waiting:
        each.result()
    assert max(most) <= 2
    assert len(most) == 300


def test_a_stopped_copy_leaves_the_queue_to_the_next(token):
    slots = limits.Slots(1)
    changed = threads.observe(slots, '_lock')
    slots.acquire(token)
    stopped = cancel_token.CancelToken()
    first = threads.Running(slots.acquire, stopped)
    changed.wait_for_sleepers(1)
    second = threads.Running(slots.acquire, token)
    changed.wait_for_sleepers(2)
    stopped.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        first.result()
    slots.release()
    second.result()


def test_a_copy_that_was_stopped_before_gets_no_place(token):
    slots = limits.Slots(1)
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled):
        slots.acquire(token)
    slots.acquire(cancel_token.CancelToken())
