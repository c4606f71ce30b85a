# SPDX-License-Identifier: Apache-2.0

"""What a test makes go wrong, and when."""

import threading

from tests.irods_server import apis as names
from tests.irods_server import rules

STEP = 64 * 1024
WRONG = 'sha2:' + 43 * 'A' + '='


class Faults:
    """The faults of a server; all of them are off at first.

    Those that are about calls take ``times``, ``skip`` (so many calls go
    well before) and ``path`` (a part of the path that a call is about).
    """

    def __init__(self, server):
        self._server = server
        self._lock = threading.Lock()
        self._rules = []
        self._pace = None
        self._capacities = {}

    def fail_on(self, api, code, after=False, **more):
        """Answer a call of ``api`` with ``code`` and do not do it.

        With ``after`` it is done, and answered with ``code`` all the
        same.
        """
        self._add(api, _when(after), rules.fail(code), **more)

    def fail_after_bytes(self, n, code, api='write', **more):
        """Answer with ``code`` once ``n`` bytes have passed.

        Not for a read, whose answer has begun when its bytes pass.
        """
        if api == 'read':
            raise ValueError('use fail_on for a read')
        self._add(api, 'bytes', rules.fail(code), bytes_left=n, **more)

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

    def slow(self, bytes_per_second):
        """Let data pass at this pace; None for as fast as it can."""
        self._pace = bytes_per_second

    def refuse_connections(self, refuse=True):
        """Stop listening, or listen again; who is connected stays."""
        self._server.listen(not refuse)

    def full(self, resource=None, room=0):
        """Leave a resource ``room`` bytes, until ``clear``."""
        vault = self._server.resource(resource).vault
        self._capacities.setdefault(vault, vault.capacity)
        vault.capacity = vault.used + room

    def corrupt(self, path, offset=0):
        """Turn one bit over on the disk, and tell nobody."""
        self._server.corrupt(path, offset)

    def wrong_checksum(self, path):
        """Let the catalog have a checksum that is not the object's."""
        self._server.set_replica(path, checksum=WRONG)

    def deny(self, path, user, level='none'):
        """Leave ``user`` only this: 'none', 'read' or 'modify'."""
        self._server.permit(path, user, level)

    def clear(self):
        """Take all faults away that are not data, let go what hangs."""
        with self._lock:
            old, self._rules = self._rules, []
            capacities, self._capacities = self._capacities, {}
        self._pace = None
        for vault, capacity in capacities.items():
            vault.capacity = capacity
        _release(old)
        self._server.listen(True)

    def release_all(self):
        """Let go everything that hangs, for the server ends."""
        with self._lock:
            _release(self._rules)

    def _add(self, apis, moment, strike, **more):
        if isinstance(apis, str):
            apis = (apis,)
        unknown = set(apis) - {'connect', *names.NAMES.values()}
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
        if self._pace:
            wanted = min(wanted, STEP, max(self._pace // 20, 1))
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
        if self._pace:
            self._server.stopping.wait(wanted / self._pace)
        return wanted


def _release(old):
    for rule in old:
        if rule.hang:
            rule.hang.release()


def _when(after):
    return 'after' if after else 'before'
