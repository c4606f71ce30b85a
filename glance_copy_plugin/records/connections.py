# SPDX-License-Identifier: Apache-2.0

"""The connections to Glance's database, of a process that may be paused."""

from glance.db.sqlalchemy import api
import sqlalchemy as sa

_STATEMENTS = {
    'postgresql': 'SET idle_in_transaction_session_timeout = {milliseconds}',
    'mariadb': 'SET SESSION idle_transaction_timeout = {seconds}',
}


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
