# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from glance_copy_plugin.transfer import errors
from tests.parts import threads


def test_nothing_is_raised_before_the_copy_is_stopped(token):
    token.check()
    assert not token.cancelled
    assert token.error is None


def test_everybody_who_checks_gets_the_reason(token):
    reason = errors.Cancelled('the image was deleted')
    token.cancel(reason)
    assert token.cancelled
    for _each in range(2):
        with pytest.raises(errors.Cancelled) as raised:
            token.check()
        assert raised.value is reason


def test_the_first_reason_wins(token):
    first = errors.TargetError('no space left', store='s1')
    token.cancel(first)
    token.cancel(errors.Cancelled('later'))
    assert token.error is first


def test_a_sleeper_is_woken_with_the_reason(token):
    sleeper = threads.Running(token.wait, threads.PATIENCE * 100)
    token.cancel(errors.Cancelled('enough'))
    with pytest.raises(errors.Cancelled, match='enough'):
        sleeper.result()


def test_a_sleep_that_nobody_stops_just_ends(token):
    assert token.wait(0) is None


def test_callbacks_run_once_when_the_copy_is_stopped(token):
    calls = []
    token.on_cancel(lambda: calls.append(token.error.reason))
    assert calls == []
    token.cancel(errors.Cancelled('first'))
    token.cancel(errors.Cancelled('second'))
    assert calls == ['first']


def test_a_callback_that_comes_too_late_runs_at_once(token):
    token.cancel(errors.Cancelled('enough'))
    called = threading.Event()
    token.on_cancel(called.set)
    assert called.is_set()


def test_a_callback_may_use_the_token_itself(token):
    token.on_cancel(lambda: token.on_cancel(lambda: None))
    token.on_cancel(lambda: token.cancel(errors.Cancelled('again')))
    stopping = threads.Running(token.cancel, errors.Cancelled('enough'))
    assert stopping.result() is None
    assert token.error.reason == 'enough'
