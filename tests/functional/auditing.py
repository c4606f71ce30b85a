# SPDX-License-Identifier: Apache-2.0

"""What the tests of the audit do: audit, and bring things into disorder."""

import datetime
import json
import os

from tests.functional import helpers
from tests.parts import starting

INSERT = (
    'INSERT INTO image_properties (image_id, name, value, created_at,'
    ' deleted) VALUES (:image, :name, :value, :now, :no)'
)


def command(server, *arguments):
    """Run the command; return its status, what it found, and its words."""
    done = audit(server, '-f', 'json', *arguments)
    assert 'Traceback' not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout or '[]'), done.stderr


def audit(server, *arguments, **environment):
    """Run the command; return the ``CompletedProcess``."""
    return glance_copy(server, 'audit', *arguments, **environment)


def glance_copy(server, *arguments, **environment):
    """Run a command for operators; return the ``CompletedProcess``."""
    return starting.run(
        arguments, {**server.process_environment(), **environment},
    )


def found(server, **how):
    """Audit; return what was found."""
    return [
        (row['kind'], row['store'], row['image_id'])
        for row in server.invariants.audit(**how)
    ]


def fix(server, *ways, **how):
    """Audit and repair; return what was done.

    :param ways: how, ``fix`` by default
    """
    rows = server.invariants.audit(ways=ways or ('fix',), **how)
    return [row['action'] for row in rows]


def lock(server, image_id, holder):
    # The row of an earlier lock stays, marked as deleted.
    server.execute(
        'DELETE FROM image_properties WHERE image_id = :image '
        'AND name = :name', image=image_id, name=helpers.LOCK,
    )
    server.execute(
        INSERT, image=image_id, name=helpers.LOCK, value=holder,
        now='2026-01-01 00:00:00', no=False,
    )


def set_property(server, image_id, name, value):
    server.execute(
        'UPDATE image_properties SET value = :value'
        ' WHERE image_id = :image AND name = :name',
        image=image_id, name=name, value=value,
    )


def make_old(path, minutes=61):
    """Let a file look as if it was written so long ago."""
    past = datetime.datetime.now().timestamp() - minutes * 60
    os.utime(path, (past, past))


def revive_task(server, image_id, status, minutes):
    """Say that the image's copy has not ended, and is ``minutes`` old."""
    (task,) = server.tasks(image_id)
    past = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    past -= datetime.timedelta(minutes=minutes)
    server.execute(
        'UPDATE tasks SET status = :status, updated_at = :past WHERE id = :id',
        status=status, past=past.isoformat(' '), id=task['id'],
    )
    return task['id']
