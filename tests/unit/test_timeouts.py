# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import timeouts
from tests.parts import threads


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Watched(timeouts.IdleTimer):
    """Tells when somebody looks at it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.looks = threading.Semaphore(0)

    @property
    def seconds(self):
        self.looks.release()
        return super().seconds


class Storage:
    """Something that answers when it is told to."""

    def __init__(self, limit=3600, idle=None):
        self.idle = idle or timeouts.IdleTimer()
        self.idle.asked()
        self.cancel = cancel_token.CancelToken()
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.late = []
        self.late_came = threading.Event()
        self.heeds = False
        self.call = timeouts.TimedCall(
            self._work, name='test', idle=self.idle, limit=limit,
            cancel=self.cancel, on_late=self._on_late,
        )

    def _work(self, token):
        self.token = token
        self.asked.set()
        if self.heeds:
            token.on_cancel(self.answer.set)
        assert self.answer.wait(threads.PATIENCE)
        if self.heeds:
            token.check()
        return 'stored'

    def _on_late(self, result):
        self.late.append(result)
        self.late_came.set()


def stopped():
    return errors.Cancelled('for the test')


def test_nobody_owes_an_answer_who_was_not_asked():
    clock = Clock()
    idle = timeouts.IdleTimer(clock=clock)
    clock.now += 5
    assert idle.seconds == 0
    idle.asked()
    clock.now += 5
    assert idle.seconds == 5
    idle.asked()
    assert idle.seconds == 0
    clock.now += 5
    idle.answered()
    assert idle.seconds == 0


def test_what_is_answered_is_returned():
    storage = Storage()
    storage.answer.set()
    assert storage.call.result() == 'stored'
    assert not storage.call.left_behind
    assert storage.late == []


def test_what_is_raised_is_raised():
    error = OSError('broken')

    def fail(token):
        raise error

    storage = Storage()
    call = timeouts.TimedCall(
        fail, name='test', idle=storage.idle, limit=9,
        cancel=storage.cancel, on_late=storage.late.append,
    )
    with pytest.raises(OSError, match='broken') as raised:
        call.result()
    assert raised.value is error


def test_silence_beyond_the_limit_is_given_up_and_its_late_answer_told():
    storage = Storage(limit=0.05)
    with pytest.raises(timeouts.GaveUp, match='has not answered'):
        storage.call.result()
    assert storage.call.left_behind
    assert storage.token.cancelled
    assert storage.late == []
    storage.answer.set()
    assert storage.late_came.wait(threads.PATIENCE)
    assert storage.late == ['stored']


def test_silence_that_is_not_owed_is_no_reason_to_give_up():
    clock = Clock()
    idle = Watched(clock=clock)
    storage = Storage(limit=0.05, idle=idle)
    idle.answered()
    running = threads.Running(storage.call.result)
    for _each in range(5):
        clock.now += 3600
        assert idle.looks.acquire(timeout=threads.PATIENCE)
    storage.answer.set()
    assert running.result() == 'stored'


def test_who_heeds_its_token_is_not_left_behind(monkeypatch):
    monkeypatch.setattr(timeouts, '_GRACE_SECONDS', threads.PATIENCE)
    storage = Storage()
    storage.heeds = True
    running = threads.Running(storage.call.result)
    assert storage.asked.wait(threads.PATIENCE)
    storage.cancel.cancel(stopped())
    with pytest.raises(errors.Cancelled):
        running.result()
    assert not storage.call.left_behind
    assert storage.late == []


def test_who_does_not_is_left_behind_and_its_late_answer_told():
    storage = Storage()
    running = threads.Running(storage.call.result)
    assert storage.asked.wait(threads.PATIENCE)
    storage.cancel.cancel(stopped())
    with pytest.raises(errors.Cancelled):
        running.result()
    assert storage.call.left_behind
    storage.answer.set()
    assert storage.late_came.wait(threads.PATIENCE)
    assert storage.late == ['stored']


def test_a_late_error_is_told_as_nothing():
    storage = Storage(limit=0.05)
    storage.heeds = True
    with pytest.raises(timeouts.GaveUp):
        storage.call.result()
    assert storage.late_came.wait(threads.PATIENCE)
    assert storage.late == [None]


# Trying again.


class Failing:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.pauses = []
        self.told = []

    def __call__(self):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run(self, tries=3, first_pause=1.0):
        return timeouts.tried_again(
            self, tries=tries, first_pause=first_pause,
            pause=self.pauses.append,
            worth_it=lambda exc: getattr(exc, 'retryable', False),
            on_retry=self.told.append,
        )


def passing():
    return errors.TargetUnavailable('for now', store='s1')


def test_it_is_tried_again_after_longer_and_longer_pauses():
    failing = Failing(passing(), passing(), passing(), 'done')
    assert failing.run() == 'done'
    assert len(failing.told) == 3
    for pause, least in zip(failing.pauses, (1, 2, 4), strict=True):
        assert least <= pause <= least + 0.5


def test_no_pause_is_longer_than_half_a_minute_or_so():
    failing = Failing(*[passing() for _each in range(9)], 'done')
    failing.run(tries=9)
    assert max(failing.pauses) <= 30.5


def test_after_the_last_try_its_error_is_raised():
    last = passing()
    failing = Failing(passing(), last, 'never asked for')
    with pytest.raises(errors.TargetUnavailable) as raised:
        failing.run(tries=1)
    assert raised.value is last
    assert failing.outcomes == ['never asked for']


def test_what_lasts_is_not_tried_again():
    failing = Failing(errors.TargetError('for ever'), 'never asked for')
    with pytest.raises(errors.TargetError):
        failing.run()
    assert failing.pauses == []


def test_a_stopped_copy_ends_the_pause():
    token = cancel_token.CancelToken()
    token.cancel(stopped())
    with pytest.raises(errors.Cancelled):
        timeouts.tried_again(
            Failing(passing(), 'never'), tries=1, first_pause=60,
            pause=token.wait, worth_it=lambda exc: True,
            on_retry=lambda exc: None,
        )
