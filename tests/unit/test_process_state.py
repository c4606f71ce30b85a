# SPDX-License-Identifier: Apache-2.0

"""What a process has once, also when it is forked."""

import os
import threading

import pytest

from glance_copy_plugin import process_state
from tests.parts import threads


class Kept(process_state.SurvivesFork):
    """Counts how often it was told of a fork."""

    def __init__(self):
        self.forks = 0

    def after_fork(self):
        self.forks += 1


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """What these tests make goes with them."""
    monkeypatch.setattr(
        process_state, '_values',
        process_state._Values(dict(process_state._values.made)),
    )


def in_child(function):
    """Return what ``function`` does in a forked process, as a truth."""
    pid = os.fork()
    if not pid:
        # No test goes on in the child.
        try:
            os._exit(0 if function() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_threads_that_ask_at_once_get_the_same_value():
    made, ready = [], threading.Barrier(8)

    @process_state.once
    def value():
        made.append(object())
        # The others come while it is being made.
        threading.Event().wait(0.01)
        return made[-1]

    def ask():
        ready.wait()
        return value()

    asking = [threads.Running(ask) for _ in range(8)]
    assert {each.result() for each in asking} == set(made)
    assert len(made) == 1


def test_a_forked_process_has_a_value_of_its_own():
    value = process_state.once(object)
    before = value()
    assert in_child(lambda: value() is not before and value() is value())
    assert value() is before


def test_what_survives_a_fork_is_told_once():
    value = process_state.once(Kept)
    before = value()
    assert in_child(lambda: value() is before and value().forks == 1)
    assert before.forks == 0


def test_a_lock_that_another_thread_held_does_not_stop_a_forked_process():
    begun, go_on = threading.Event(), threading.Event()

    @process_state.once
    def slow():
        begun.set()
        return go_on.wait(threads.PATIENCE)

    other = process_state.once(object)
    making = threads.Running(slow)
    assert begun.wait(threads.PATIENCE)
    try:
        assert in_child(lambda: other() is other())
    finally:
        go_on.set()
        making.result()
