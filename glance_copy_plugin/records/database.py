# SPDX-License-Identifier: Apache-2.0

"""The database: is it the right one, and does it let others wait?"""

from glance.db.sqlalchemy import api
from glance.db.sqlalchemy import models
from oslo_db import exception as db_exception
import sqlalchemy as sa

from glance_copy_plugin.transfer import errors

_SYNC = 'glance-manage db sync'
_STATEMENTS = {
    'postgresql': 'SET idle_in_transaction_session_timeout = {milliseconds}',
    'mariadb': 'SET SESSION idle_transaction_timeout = {seconds}',
}


def check_schema():
    """Look for the tables and columns that this release of Glance uses.

    Reads the schema only; the configuration has to be loaded before.

    :raises RuntimeError: if something is missing, in one sentence
    """
    try:
        missing, found = _compare(sa.inspect(api.get_engine()))
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


def limit_idle_transactions(seconds):
    """Have the database end what this process leaves open, for so long.

    Otherwise a process that is paused in a transaction would keep others from
    an image for as long as it is paused. A MySQL that is no MariaDB knows no
    such limit; there the others give up waiting, and try again.
    """
    engine = api.get_engine()
    with engine.connect():
        # Now it is known which database that is.
        name = engine.dialect.name
    if getattr(engine.dialect, 'is_mariadb', False):
        name = 'mariadb'
    if name not in _STATEMENTS:
        return
    statement = _STATEMENTS[name].format(
        seconds=seconds, milliseconds=1000 * seconds
    )

    def limit(connection, _record):
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        connection.commit()

    sa.event.listen(engine, 'connect', limit)
    # Those that were made before have no limit.
    engine.dispose()
