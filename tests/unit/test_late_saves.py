# SPDX-License-Identifier: Apache-2.0

import threading
import types

import pytest

from glance_copy_plugin.reconcile import late_saves
from tests.parts.threads import PATIENCE


@pytest.fixture
def later(monkeypatch):
    monkeypatch.setattr(late_saves, '_LOOK_SECONDS', 0.01)
    return late_saves.LaterCalls()


def threads():
    return {
        thread for thread in threading.enumerate()
        if thread.name == 'copy-image: look at images again'
    }


def test_what_is_due_first_is_called_first(later, monkeypatch):
    now = [0]
    monkeypatch.setattr(
        late_saves, 'time', types.SimpleNamespace(monotonic=lambda: now[0])
    )
    called, go_on, done = [], threading.Event(), threading.Event()
    later.call(0, lambda: go_on.wait(PATIENCE))
    later.call(30, done.set)
    later.call(20, lambda: called.append('second'))
    later.call(10, lambda: called.append('first'))
    now[0] = 30
    go_on.set()
    assert done.wait(PATIENCE)
    assert called == ['first', 'second']


def test_nothing_is_called_before_it_is_due(later, monkeypatch):
    now = [0]
    monkeypatch.setattr(
        late_saves, 'time', types.SimpleNamespace(monotonic=lambda: now[0])
    )
    called, done = [], threading.Event()
    later.call(10, lambda: called.append('late'))
    later.call(0, done.set)
    assert done.wait(PATIENCE)
    assert called == []


def test_an_error_does_not_keep_the_others_from_being_called(later):
    done = threading.Event()
    later.call(0, lambda: 1 / 0)
    later.call(0, done.set)
    assert done.wait(PATIENCE)


def test_whoever_asks_does_not_wait(later):
    started, go_on, done = (threading.Event() for _each in range(3))

    def blocked():
        started.set()
        assert go_on.wait(PATIENCE)

    later.call(0, blocked)
    assert started.wait(PATIENCE)
    later.call(0, done.set)
    assert not done.is_set()
    go_on.set()
    assert done.wait(PATIENCE)


def test_the_thread_ends_with_the_last_call_and_starts_again(later):
    before = threads()
    for _time in range(2):
        done = threading.Event()
        later.call(0, done.set)
        assert done.wait(PATIENCE)
        for thread in threads() - before:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_what_is_due_late_keeps_neither_others_nor_the_process(later):
    before, done = threads(), threading.Event()
    later.call(3600, threads)
    (thread,) = threads() - before
    assert thread.daemon
    later.call(0, done.set)
    assert done.wait(PATIENCE)
