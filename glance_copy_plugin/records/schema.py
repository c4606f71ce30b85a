# SPDX-License-Identifier: Apache-2.0


"""Whether the database is one that the Image service can work with."""

from glance.db.sqlalchemy import api as db_api
from glance.db.sqlalchemy import models
from oslo_db import exception as db_exception
import sqlalchemy as sa

from glance_copy_plugin.transfer import errors

_SYNC = 'glance-manage db sync'


def check_schema():
    """Look for the tables and columns that this release of Glance uses.

    Reads the schema only; the configuration has to be loaded before.

    :raises RuntimeError: if something is missing, in one sentence
    """
    try:
        missing, found = _compare(sa.inspect(db_api.get_engine()))
    except (db_exception.DBError, sa.exc.SQLAlchemyError) as exc:
        raise RuntimeError(
            'the database of the Image service cannot be used, see [database] '
            f'connection: {_first_line(exc)}'
        ) from exc
    if missing and not found:
        raise RuntimeError(
            f'the database of the Image service is empty: run {_SYNC}'
        )
    if missing:
        raise RuntimeError(
            'the database of the Image service is not that of this release '
            f'of Glance, it lacks {", ".join(sorted(missing))}: run {_SYNC}'
        )


def _compare(inspector):
    """Return what is missing, as names of columns, and the tables there."""
    there = set(inspector.get_table_names())
    tables = models.BASE.metadata.tables
    missing = set(tables) - there
    for name in set(tables) & there:
        columns = {each['name'] for each in inspector.get_columns(name)}
        missing.update(
            f'{name}.{column.name}' for column in tables[name].columns
            if column.name not in columns
        )
    return missing, there & set(tables)


def _first_line(error):
    return errors.redact(error).partition('\n')[0]
