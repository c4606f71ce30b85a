# SPDX-License-Identifier: Apache-2.0

"""Glance's database: made for a server, and read behind its back.

Why behind its back: ``GET /v2/images/<id>/tasks`` opens a transaction that
writes, and on SQLite that can lock out Glance's own executor, which then
drops a new task for good. Reading here can not.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys

import sqlalchemy as sa

_synced = {}
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

    Making them takes seconds, so that the first new SQLite file of this
    process is kept in memory and written out again for the next server.
    """
    if url in _complete:
        return
    path = None
    if url.startswith('sqlite'):
        path = pathlib.Path(sa.make_url(url).database)
        if path.exists():
            return
        if 'sqlite' in _synced:
            path.write_bytes(_synced['sqlite'])
            return
    _run_sync(conf)
    if path:
        _synced['sqlite'] = path.read_bytes()
    else:
        _complete.add(url)


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
        url, poolclass=sa.pool.NullPool, isolation_level='AUTOCOMMIT'
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
