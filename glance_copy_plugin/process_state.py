# SPDX-License-Identifier: Apache-2.0

"""What a process has once: made when first needed, and anew after a fork.

The only place of this package where something is kept that can change and
that no object holds.
"""

import abc
import functools
import os
import threading


class SurvivesFork(abc.ABC):
    """A value that stays in a forked process, and begins anew there."""

    @abc.abstractmethod
    def after_fork(self):
        """No thread, lock or copy of the parent is this process's."""


class _Values:
    def __init__(self, made):
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.made = made


_values = _Values({})
# What closes a connection when it is collected would close the parent's.
_of_parents = []


def once(make):
    """Let a function without arguments return the same value each time."""
    @functools.wraps(make)
    def get():
        begin_anew_if_forked()
        values = _values
        with values.lock:
            if make not in values.made:
                values.made[make] = make()
            return values.made[make]

    return get


def begin_anew_if_forked():
    """Drop the parent's values, in a process that was forked from it.

    Python calls this in each fork, and so does each use of a value, for
    servers that fork without Python.
    """
    global _values
    if _values.pid == os.getpid():
        return
    _of_parents.append(_values.made)
    _values = _Values({
        make: value for make, value in _values.made.items()
        if isinstance(value, SurvivesFork)
    })
    for value in _values.made.values():
        value.after_fork()


os.register_at_fork(after_in_child=begin_anew_if_forked)
