# SPDX-License-Identifier: Apache-2.0

"""What must hold for a Glance in which nothing is going on."""

import contextlib
import json
import socket
import time

from glance_copy_plugin.audit import findings
from glance_copy_plugin.ownership import journal
from tests.harness import loaded

SETTLE_SECONDS = 120
# Reading and hashing all images of a busy server takes its time.
ANSWER_SECONDS = 300
DAMAGE = (
    findings.MISSING, findings.SIZE, findings.HASH, findings.UNREADABLE,
)
LIVE = (
    'SELECT id, image_id, status FROM tasks '
    "WHERE status IN ('pending', 'processing') AND NOT deleted"
)


class CheckerFailed(Exception):
    """The audit could not be made; the text says why."""


class NotSettled(AssertionError):
    """Something was still going on when the time was up."""


class Invariants:
    """Audits a server in a process of its own, which it keeps.

    :param server: a ``GlanceServer`` that has been started before

    ``stores`` are the names of the stores to look at, all file stores unless
    a test says otherwise.
    """

    def __init__(self, server):
        self.stores = list(server.stores)
        self._server = server
        self._stream = None
        self._connection = None
        self._damaged = set()

    def expect_damage(self, image_id):
        """A test spoils this image's objects: that is not to be found."""
        self._damaged.add(image_id)

    def check(self, *, verify=True, age=0):
        """Return all :class:`~findings.Finding`, as things are now.

        :param age: seconds without a sign of life that make something dead;
            with 0, nothing may be going on
        """
        return [
            findings.Finding(
                kind=row['kind'], store=row['store'],
                image_id=row['image_id'], detail=row['detail'],
            )
            for row in self.audit(verify=verify, age=age)
            if row['kind'] not in DAMAGE
            or row['image_id'] not in self._damaged
        ]

    def audit(self, *, verify=False, stores=None, age=3600, ways=()):
        """Audit as the command does; return a dict for each finding.

        :param ways: how to repair: ``fix``, ``repair``, ``correct-locations``
        """
        return self._ask({
            'stores': self.stores if stores is None else stores,
            'verify': verify, 'age': age, 'ways': ways,
        })

    def going_on(self, image_id=None):
        """Return what is going on: live tasks and journal entries.

        :param image_id: only with this image
        """
        folder = self._server.staging / 'copy-image' / 'journal'
        return [
            task for task in self._server.execute(LIVE)
            if image_id in (None, task['image_id'])
        ] + [
            name for name in journal.Journal(str(folder)).names()
            if image_id in (None, name)
        ]

    def wait_settled(self, timeout=SETTLE_SECONDS, image_id=None):
        """Return when nothing is going on any more.

        :param image_id: only with this image
        :raises: :class:`NotSettled` when the time is up
        """
        deadline = time.monotonic() + timeout
        while left := self.going_on(image_id):
            if time.monotonic() > deadline:
                raise NotSettled(f'after {timeout} s there is still: {left}')
            time.sleep(0.05)

    def assert_hold(self, timeout=SETTLE_SECONDS, verify=True):
        """Wait until nothing is going on; then nothing may be found."""
        self.wait_settled(timeout)
        found = self.check(verify=verify)
        assert not found, 'an audit finds:\n' + '\n'.join(
            f'  {each.kind} {each.store} {each.image_id}: {each.detail}'
            for each in found
        )

    def assert_hold_soon(self, timeout=SETTLE_SECONDS):
        """As :meth:`assert_hold`, with some time for what mends itself.

        What a late save of a request breaks is put right a little later.
        """
        deadline = time.monotonic() + timeout
        self.wait_settled(timeout)
        while self.check(verify=False) and time.monotonic() < deadline:
            time.sleep(0.2)
        self.assert_hold()

    def close(self):
        """End the process. Safe to call twice; a later check starts anew."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
                # It closes its end when it ends.
                self._stream.read()
            with contextlib.suppress(OSError):
                self._stream.close()
            self._connection.close()
            self._stream = None

    def _ask(self, order):
        if self._stream is None:
            self._connect()
        try:
            self._stream.write(json.dumps(order) + '\n')
            self._stream.flush()
            line = self._stream.readline()
        except OSError:
            line = ''
        if not line:
            self.close()
            raise CheckerFailed(self._log.read_text()[-4000:])
        answer = json.loads(line)
        if 'error' in answer:
            raise CheckerFailed(answer['error'])
        return answer['rows']

    @property
    def _log(self):
        return self._server.folder / 'checker.log'

    def _connect(self):
        self._connection, other = socket.socketpair()
        with other:
            loaded.start(
                'tests.harness.checker:main', [other.fileno()],
                log=self._log, folder=self._server.folder,
                environment=self._server.process_environment(),
                inherit=[other.fileno()],
            )
        self._connection.settimeout(ANSWER_SECONDS)
        self._stream = self._connection.makefile('rw')
