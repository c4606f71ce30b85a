# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a test makes go wrong, and when."""

import dataclasses
import threading

from tests.irods_server import codes

STEP = 64 * 1024


class Cut(Exception):
    """The connection breaks here; the agent cleans up as ever."""


class Killed(Exception):
    """The agent dies here, and cleans up nothing."""


class Hang:
    """A place where an agent waits until the test lets it go on."""

    def __init__(self):
        self.reached = threading.Event()
        self.released = threading.Event()

    def wait_until_reached(self, timeout=30):
        """Wait for the agent to come here; fail when it does not."""
        if not self.reached.wait(timeout):
            raise TimeoutError('nothing came to where it was to hang')

    def release(self):
        """Let the agent go on."""
        self.released.set()

    def strike(self):
        self.reached.set()
        self.released.wait()


@dataclasses.dataclass
class Rule:
    """One fault: which call it meets, at which moment, how often."""

    api: str | None
    moment: str
    strike: object
    times: int = 1
    skip: int = 0
    path: str = ''
    bytes_left: int = 0
    hang: Hang | None = None

    def meets(self, api, moment, path):
        return (
            self.moment == moment and self.api in (None, api)
            and self.path in path
        )


class Faults:
    """The faults of a server; all of them are off at first."""

    def __init__(self, server):
        self._server = server
        self._lock = threading.Lock()
        self._rules = []
        self._pace = None

    def fail_on(self, api, code, times=1, after=False, **more):
        """Answer a call of ``api`` with ``code`` and do not do it.

        With ``after`` it is done, and answered with ``code`` all the
        same. ``skip`` lets so many calls through before; ``path`` is a
        part of the path that the call is about.
        """
        def strike():
            raise codes.IrodsError(code)
        self._add(api, _when(after), strike, times=times, **more)

    def fail_after_bytes(self, n, code, api='write', times=1, **more):
        """Answer with ``code`` once ``n`` bytes have passed."""
        def strike():
            raise codes.IrodsError(code)
        self._add(api, 'bytes', strike, bytes_left=n, times=times, **more)

    def drop_on(self, api, times=1, after=False, **more):
        """Break the connection instead of doing a call of ``api``.

        With ``after`` it is done, and not answered.
        """
        self._add(api, _when(after), _cut, times=times, **more)

    def drop_after_bytes(self, n, api=None, times=1, **more):
        """Break the connection once ``n`` bytes of data have passed.

        ``api`` is 'read' or 'write', or None for either.
        """
        self._add(api, 'bytes', _cut, bytes_left=n, times=times, **more)

    def agent_dies_on(self, api, after_bytes=None, after=False, **more):
        """Kill the agent: before ``api``, after it or in its midst."""
        if after_bytes is None:
            self._add(api, _when(after), _kill, **more)
        else:
            self._add(api, 'bytes', _kill, bytes_left=after_bytes, **more)

    def agent_dies_while_writing(self, after_bytes=0, **more):
        """Kill the agent at a write; the replica keeps status 2."""
        self.agent_dies_on('write', after_bytes, **more)

    def hang_on(self, api, after_bytes=None, after=False, times=1, **more):
        """Let a call of ``api`` wait; return the Hang to release it by."""
        hang = Hang()
        moment = 'bytes' if after_bytes is not None else _when(after)
        self._add(
            api, moment, hang.strike, times=times, hang=hang,
            bytes_left=after_bytes or 0, **more,
        )
        return hang

    def slow(self, bytes_per_second):
        """Let data pass at this pace; None for as fast as it can."""
        self._pace = bytes_per_second

    def refuse_connections(self, refuse=True):
        """Stop listening, or listen again; who is connected stays."""
        self._server.listen(not refuse)

    def clear(self):
        """Take every fault away, and let go what hangs."""
        with self._lock:
            rules, self._rules = self._rules, []
        self._pace = None
        release(rules)
        self._server.listen(True)

    def release_all(self):
        """Let go everything that hangs, for the server ends."""
        with self._lock:
            release(self._rules)

    def _add(self, api, moment, strike, **more):
        with self._lock:
            self._rules.append(Rule(api, moment, strike, **more))

    def check(self, api, moment, path=''):
        """Do what a test wants to happen at this call, if anything."""
        for strike in self._due(api, moment, path):
            strike()

    def _due(self, api, moment, path):
        due = []
        with self._lock:
            for rule in self._rules:
                if not rule.meets(api, moment, path) or not rule.times:
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.times -= 1
                due.append(rule.strike)
        return due

    def take(self, api, wanted, path=''):
        """Return how many of ``wanted`` bytes may pass now, 1 at least."""
        while True:
            with self._lock:
                rules = [
                    rule for rule in self._rules
                    if rule.times and rule.meets(api, 'bytes', path)
                ]
                spent = [rule for rule in rules if not rule.bytes_left]
                if not spent:
                    for rule in rules:
                        wanted = min(wanted, rule.bytes_left)
                    if self._pace:
                        wanted = min(wanted, STEP)
                    for rule in rules:
                        rule.bytes_left -= wanted
                    break
                spent[0].times -= 1
            spent[0].strike()
        if self._pace:
            self._server.stopping.wait(wanted / self._pace)
        return wanted

    def passed(self, api, path=''):
        """Return a function to report bytes that a long job has done."""
        def report(count):
            while count:
                count -= self.take(api, count, path)
        return report


def release(rules):
    for rule in rules:
        if rule.hang:
            rule.hang.release()


def _when(after):
    return 'after' if after else 'before'


def _cut():
    raise Cut


def _kill():
    raise Killed
