# SPDX-License-Identifier: Apache-2.0

"""Glance's database: made for a server, and read behind its back.

Why behind its back: ``GET /v2/images/<id>/tasks`` opens a transaction that
writes, and on SQLite that can lock out Glance's own executor, which then
drops a new task for good. Reading here can not.
"""

import fcntl
import functools
from importlib import metadata
import json
import os
import pathlib
import subprocess
import sys

import sqlalchemy as sa

from tests.harness import postgres
from tests.harness import process

# Tables as a release of Glance makes them, for each kind of database.
KEPT = process.ROOT / '.cache' / 'tables'
_complete = set()

LOCATIONS = (
    'SELECT value, meta_data, status FROM image_locations '
    'WHERE image_id = :image AND NOT deleted ORDER BY id'
)
TASKS = (
    'SELECT id, status, message, tasks.created_at, tasks.updated_at '
    'FROM tasks LEFT JOIN task_info ON task_id = id '
    'WHERE image_id = :image AND NOT tasks.deleted ORDER BY tasks.created_at'
)


class SyncFailed(Exception):
    """``glance-manage db sync`` did not work; the text says why."""


def sqlite_url(folder):
    """Return the address of the SQLite database in a folder."""
    return f'sqlite:///{pathlib.Path(folder).resolve()}/glance.db?timeout=60'


def sync(conf, url):
    """Make the tables, unless they are already there.

    Making them takes seconds, so that what came out is kept in a file for
    all servers of this release of Glance, also those of other processes.
    """
    # Asked each time: who starts a server anew may have removed its folder.
    if url.startswith('sqlite'):
        path = pathlib.Path(sa.make_url(url).database)
        if not path.exists():
            _from_kept(_Sqlite(path), conf)
    elif url.startswith('postgresql'):
        if not _has_tables(url):
            _from_kept(_Postgresql(url), conf)
    elif url not in _complete:
        _run_sync(conf)
        _complete.add(url)


def _from_kept(made, conf):
    """Make the tables as they were made for the first server of all."""
    kept = KEPT / f'{metadata.version("glance")}-{made.kind}'
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _run_sync(conf)
            draft = kept.with_suffix('.draft')
            made.save(draft)
            draft.replace(kept)
            return
    made.load(kept)


class _Sqlite:
    """A database file that can be copied."""

    kind = 'sqlite.db'

    def __init__(self, path):
        self._path = path

    def save(self, kept):
        kept.write_bytes(self._path.read_bytes())

    def load(self, kept):
        self._path.write_bytes(kept.read_bytes())


class _Postgresql:
    """A database that its own tools write out as SQL and read again."""

    def __init__(self, url):
        self._programs = postgres.find_programs()
        self._url = sa.make_url(url)
        # What a release writes, an older one may not understand.
        self.kind = f'postgresql-{self._programs.parent.name}.sql'

    def save(self, kept):
        self._run('pg_dump', '--no-owner', f'--file={kept}')

    def load(self, kept):
        self._run('psql', '--quiet', '--no-psqlrc', '--output=/dev/null',
                  '--set=ON_ERROR_STOP=1', f'--file={kept}')

    def _run(self, program, *options):
        done = subprocess.run(
            [
                self._programs / program, *options,
                f'--host={self._url.query["host"]}',
                f'--username={self._url.username}', self._url.database,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode:
            raise SyncFailed(f'{program} failed:\n{done.stdout[-4000:]}')


def _has_tables(url):
    (found,) = execute(url, "SELECT to_regclass('alembic_version') AS name")
    return found['name'] is not None


def _run_sync(conf):
    tool = pathlib.Path(sys.executable).with_name('glance-manage')
    done = subprocess.run(
        [tool, '--config-file', conf, 'db', 'sync'],
        env={**os.environ, 'XDG_CACHE_HOME': str(conf.parent / 'cache')},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SyncFailed(f'db sync failed:\n{done.stdout[-4000:]}')


@functools.cache
def _engine(url):
    # A statement commits by itself, so that no lock outlives it.
    return sa.create_engine(
        url, poolclass=sa.pool.NullPool, isolation_level='AUTOCOMMIT',
        # On a busy machine a server may keep SQLite locked for some seconds.
        connect_args={'timeout': 120} if url.startswith('sqlite') else {},
    )


def execute(url, statement, **parameters):
    """Run one SQL statement; return its rows as dicts, if it has any."""
    with _engine(url).connect() as connection:
        result = connection.execute(sa.text(statement), parameters)
        if not result.returns_rows:
            return []
        return [dict(row) for row in result.mappings()]


def tasks(url, image_id):
    """Return an image's tasks, oldest first.

    Each is {id, status, message, created_at, updated_at}, times as text.
    """
    found = execute(url, TASKS, image=image_id)
    for task in found:
        for name in ('created_at', 'updated_at'):
            task[name] = str(task[name])
    return found


def locations(url, image_id):
    """Return an image's locations: {url, metadata, status, store}."""
    rows = execute(url, LOCATIONS, image=image_id)
    found = []
    for row in rows:
        metadata = json.loads(row['meta_data'] or '{}')
        found.append(
            {
                'url': row['value'],
                'metadata': metadata,
                'status': row['status'],
                'store': metadata.get('store'),
            }
        )
    return found
