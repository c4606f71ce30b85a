# SPDX-License-Identifier: Apache-2.0

"""``make soak``: kill real Glance processes at random moments of copies.

Environment: N, how many copies (default 100); SEED, for the dice.

Each copy has a random size and number of stores and goes inside the kernel or
through the driver. At a random moment the worker that makes it is killed, or
all of Glance. One copy in six cannot be finished then: its image is deleted or
deactivated, or one of its stores cannot be written. Within 30 seconds all has
to be in order: nothing going on, and an audit that reads and hashes everything
finds nothing. The table at the end counts what happened; the status is 1 if
anything was not in order.
"""

import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import time

import requests

from glance_copy_plugin.audit import findings
from tests.functional import helpers
from tests.harness import Client
from tests.harness import GlanceServer
from tests.harness import invariants
from tests.harness import postgres

FOLDER = pathlib.Path('.soak')
STORES = ('s1', 's2', 's3')
SIZES = (1, 1000, 2 ** 20, 2 ** 23 + 1, 2 ** 25)
# Slow enough to be killed half-way.
BYTES_PER_SECOND = 2 ** 25
TROUBLES = ('deleted', 'deactivated', 'unwritable')
FINISHED = 'recovered by finishing'
REVERTED = 'recovered by reverting'
NEVER_BEGUN = 'never begun'
ENDED_BEFORE = 'ended before the kill'
ORPHANS = 'orphans'
STUCK = 'stuck'
LOST = 'lost or corrupt'
ROWS = (
    'kills', FINISHED, REVERTED, NEVER_BEGUN, ENDED_BEFORE, ORPHANS, STUCK,
    LOST,
)
WRONG = (ORPHANS, STUCK, LOST)
KINDS = {
    findings.UNRECORDED: ORPHANS,
    findings.UNFINISHED: ORPHANS,
    findings.STAGED: ORPHANS,
    findings.LOCKED: STUCK,
    findings.PROPERTY: STUCK,
    findings.JOURNALLED: STUCK,
    findings.STUCK: STUCK,
    findings.INTERRUPTED: STUCK,
    findings.MISSING: LOST,
    findings.MOVED: LOST,
    findings.UNREADABLE: LOST,
    findings.CLOSED: LOST,
    findings.SIZE: LOST,
    findings.HASH: LOST,
    findings.HOMELESS: LOST,
    findings.TWICE: LOST,
}


def main():
    """Run it; return the exit status."""
    count = int(os.environ.get('N') or 100)
    seed = int(os.environ.get('SEED') or time.time())
    dice = random.Random(seed)  # noqa: S311
    shutil.rmtree(FOLDER, ignore_errors=True)
    table = collections.Counter()
    print(f'{count} copies, SEED={seed}', flush=True)
    try:
        with _servers() as servers:
            for number in range(count):
                before = time.monotonic()
                told = Round(dice, servers, table).run()
                seconds = time.monotonic() - before
                print(f'{number + 1:5} {seconds:5.1f} s  {told}', flush=True)
    except KeyboardInterrupt:
        print('Interrupted; everything is stopped.', file=sys.stderr)
    for row in ROWS:
        print(f'{row:22} {table[row]:6}')
    return int(any(table[row] for row in WRONG))


@contextlib.contextmanager
def _servers():
    """Start one for each way of copying; yield them."""
    with contextlib.ExitStack() as stack:
        try:
            databases = stack.enter_context(postgres.Postgres())
        except postgres.Unavailable as why:
            print(f'SQLite is used: {why}', flush=True)
            databases = None
        yield [
            stack.enter_context(GlanceServer(
                FOLDER / name, workers=2, graceful_timeout=5,
                database_url=databases and databases.url(name),
                settings={'copy_image': {
                    'recovery_interval': 0.5,
                    'bandwidth_limit': BYTES_PER_SECOND, **given,
                }},
            ))
            for name, given in (
                ('copier', {}),
                ('stream', {'copiers': ''}),
                # One store after the other.
                ('serial', {
                    'max_parallel_stores': 1, 'staging_window': 2 ** 20,
                }),
            )
        ]


class Round:
    """One copy during which something is killed."""

    def __init__(self, dice, servers, table):
        self._dice = dice
        self._server = dice.choice(servers)
        self._client = Client(self._server)
        self._table = table
        self._size = dice.choice(SIZES)
        self._stores = dice.sample(STORES, dice.randint(1, 3))
        self._whole = dice.random() < 0.2
        self._moment = dice.random() * (0.3 + self._size / BYTES_PER_SECOND)
        troubled = dice.random() < 1 / 6
        self._trouble = dice.choice(TROUBLES) if troubled else None
        self._image_id = None

    def run(self):
        """Make it; count it; return a line about it."""
        self._image_id = self._client.create_image(helpers.data(self._size))
        with self._unwritable():
            with contextlib.suppress(requests.ConnectionError):
                self._client.copy(self._image_id, self._stores)
            time.sleep(self._moment)
            ended = self._status() in ('success', 'failure')
            self._kill()
            self._table['kills'] += 1
            self._make_trouble()
            result, details = self._result(ended)
        found = self._found()
        for row, detail in found:
            result = row
            details.append(detail)
        self._table[result] += 1
        self._tidy_up()
        what = 'all of Glance' if self._whole else 'one worker'
        extra = f', {self._trouble}' if self._trouble else ''
        told = (
            f'{self._server.folder.name:6} {self._size:9} bytes to '
            f'{len(self._stores)}, {what}{extra}: {result}'
        )
        return '\n        '.join([told, *details])

    def _unwritable(self):
        if self._trouble != 'unwritable':
            return contextlib.nullcontext()
        store = self._stores[-1]
        return helpers.replaced_by_file(self._server.places[store])

    def _kill(self):
        if self._whole:
            self._server.kill()
            self._server.start()
            return
        pids = self._server.worker_pids
        busy = self._busy_pids().intersection(pids)
        if pids:
            os.kill(self._dice.choice(sorted(busy or pids)), signal.SIGKILL)

    def _busy_pids(self):
        """Return who holds the journal entry of the copy, as Linux says."""
        entry = self._server.staging / 'copy-image/journal' / self._image_id
        try:
            inode = entry.stat().st_ino
        except FileNotFoundError:
            return set()
        locks = pathlib.Path('/proc/locks').read_text().splitlines()
        return {
            int(pid) for _number, kind, _advisory, _mode, pid, file, *_range
            in map(str.split, locks)
            if kind == 'FLOCK' and file.endswith(f':{inode}')
        }

    def _make_trouble(self):
        requested = {
            'deleted': ('DELETE', f'/images/{self._image_id}'),
            'deactivated': (
                'POST', f'/images/{self._image_id}/actions/deactivate'
            ),
        }
        if self._trouble in requested:
            self._ask(*requested[self._trouble])

    def _ask(self, method, path):
        """Send a request, again until some worker answers it."""
        def answered():
            with contextlib.suppress(requests.ConnectionError):
                return self._client.request(method, path).status_code

        return helpers.wait_until(answered, 'an answer', timeout=60)

    def _result(self, ended):
        """Wait until nothing is going on; return the row of the table."""
        try:
            self._server.invariants.wait_settled(image_id=self._image_id)
        except invariants.NotSettled as why:
            return STUCK, [str(why)]
        status = self._status()
        if status is None:
            return NEVER_BEGUN, []
        if ended:
            return ENDED_BEFORE, []
        return (FINISHED if status == 'success' else REVERTED), []

    def _found(self):
        """Audit; return (row of the table, words) for each finding."""
        found = [
            (KINDS[each.kind], f'{each.kind} {each.store} {each.detail}')
            for each in self._server.invariants.check()
        ]
        expected = {'src'}
        if self._trouble == 'deleted':
            expected = set()
        elif self._status() == 'success':
            expected.update(self._stores)
        recorded = set(helpers.rows(self._server, self._image_id))
        for store in expected - recorded:
            found.append((LOST, f'no location in {store}'))
        for store in recorded - expected:
            found.append((ORPHANS, f'a location in {store}'))
        return found

    def _tidy_up(self):
        """Leave nothing that the next round would find, or hash, again."""
        self._ask('DELETE', f'/images/{self._image_id}')
        self._server.invariants.audit(age=0, ways=['fix'])

    def _status(self):
        tasks = self._server.tasks(self._image_id)
        return tasks[-1]['status'] if tasks else None


if __name__ == '__main__':
    sys.exit(main())
