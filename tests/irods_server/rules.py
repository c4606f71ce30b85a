# SPDX-License-Identifier: Apache-2.0

"""One fault: which call it meets, when, and what it does to it."""

import dataclasses
import threading

from tests.irods_server import codes


class Cut(Exception):
    """The connection breaks here; the agent cleans up as ever."""


class Killed(Exception):
    """The agent dies here, and cleans up nothing."""


class Hang:
    """A place where an agent waits until the test lets it go on."""

    def __init__(self):
        self._reached = threading.Event()
        self._released = threading.Event()

    def wait_until_reached(self, timeout=60):
        """Wait for the agent to come here; fail when it does not."""
        if not self._reached.wait(timeout):
            raise TimeoutError('nothing came to where it was to hang')

    def release(self):
        """Let the agent go on, and whoever comes here later."""
        self._released.set()

    def strike(self):
        """Wait here, as the agent that comes."""
        self._reached.set()
        self._released.wait()


def cut():
    """Break the connection."""
    raise Cut


def kill():
    """Kill the agent."""
    raise Killed


def fail(code):
    """Return what answers with ``code``."""
    def strike():
        raise codes.IrodsError(code)
    return strike


@dataclasses.dataclass
class Rule:
    """A fault of some APIs; ``moment`` is 'before', 'after' or 'bytes'."""

    apis: tuple
    moment: str
    strike: object
    times: int = 1
    skip: int = 0
    path: str = ''
    bytes_left: int = 0
    hang: Hang | None = None

    def meets(self, api, moment, path):
        """Tell whether the fault is about this call, at this moment."""
        return (
            self.times > 0 and self.moment == moment
            and api in self.apis and self.path in path
        )
