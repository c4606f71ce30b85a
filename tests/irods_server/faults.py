# SPDX-License-Identifier: Apache-2.0

"""What a test makes go wrong, and when."""

import threading

from tests.irods_server import apis as names
from tests.irods_server import rules


class Faults:
    """The faults of a server; all of them are off at first.

    Those that are about calls take ``times``, ``skip`` (so many calls go
    well before) and ``path`` (a part of the path that a call is about).
    """

    def __init__(self, server):
        self._server = server
        self._lock = threading.Lock()
        self._rules = []

    def fail_on(self, api, code, after=False, **more):
        """Answer a call of ``api`` with ``code`` and do not do it.

        With ``after`` it is done, and answered with ``code`` all the
        same.
        """
        self._add(api, _when(after), rules.fail(code), **more)

    def drop_on(self, api, after=False, **more):
        """Break the connection instead of doing a call of ``api``.

        With ``after`` it is done, and not answered.
        """
        self._add(api, _when(after), rules.cut, **more)

    def drop_after_bytes(self, n, api=None, **more):
        """Break the connection once ``n`` bytes of data have passed.

        ``api`` is 'read' or 'write', or None for either.
        """
        apis = (api,) if api else ('read', 'write')
        self._add(apis, 'bytes', rules.cut, bytes_left=n, **more)

    def agent_dies_on(self, api, after_bytes=None, after=False, **more):
        """Kill the agent: before ``api``, after it or in its midst."""
        moment = 'bytes' if after_bytes is not None else _when(after)
        self._add(
            api, moment, rules.kill, bytes_left=after_bytes or 0, **more
        )

    def agent_dies_while_writing(self, after_bytes=0, **more):
        """Kill the agent at a write; the replica keeps status 2."""
        self.agent_dies_on('write', after_bytes, **more)

    def hang_on(self, api, after_bytes=None, after=False, **more):
        """Let a call of ``api`` wait; return the Hang to release it by."""
        hang = rules.Hang()
        moment = 'bytes' if after_bytes is not None else _when(after)
        self._add(
            api, moment, hang.strike, hang=hang, bytes_left=after_bytes or 0,
            **more,
        )
        return hang

    def refuse_connections(self, refuse=True):
        """Stop listening, or listen again; who is connected stays."""
        self._server.listen(not refuse)

    def clear(self):
        """Take all faults away, and let go what hangs."""
        with self._lock:
            old, self._rules = self._rules, []
        _release(old)
        self._server.listen(True)

    def release_all(self):
        """Let go everything that hangs, for the server ends."""
        with self._lock:
            _release(self._rules)

    def _add(self, apis, moment, strike, **more):
        if isinstance(apis, str):
            apis = (apis,)
        unknown = set(apis) - {'connect', 'register', *names.NAMES.values()}
        if unknown:
            raise ValueError(f'no such API: {unknown}')
        with self._lock:
            self._rules.append(rules.Rule(apis, moment, strike, **more))

    def check(self, api, moment, path=''):
        """Do what a test wants to happen at this call, if anything."""
        due = []
        with self._lock:
            for rule in self._rules:
                if not rule.meets(api, moment, path):
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.times -= 1
                due.append(rule)
        for rule in due:
            rule.strike()

    def take(self, api, wanted, path=''):
        """Return how many of ``wanted`` bytes may pass now, 1 at least."""
        while True:
            with self._lock:
                met = [
                    rule for rule in self._rules
                    if rule.meets(api, 'bytes', path)
                ]
                spent = [rule for rule in met if not rule.bytes_left]
                if not spent:
                    for rule in met:
                        wanted = min(wanted, rule.bytes_left)
                    for rule in met:
                        rule.bytes_left -= wanted
                    break
                spent[0].times -= 1
            spent[0].strike()
        return wanted


def _release(old):
    for rule in old:
        if rule.hang:
            rule.hang.release()


def _when(after):
    return 'after' if after else 'before'
