# SPDX-License-Identifier: Apache-2.0

"""MariaDB, which Keystone, Cinder and Glance keep their data in."""

import socket

import sqlalchemy as sa

NAME = 'mariadb'
USER = 'cloud'
DATABASES = ('keystone', 'cinder')
# Nothing here outlives the machine: speed matters, not durability.
OPTIONS = (
    '--bind-address=127.0.0.1', '--skip-name-resolve', '--skip-log-bin',
    '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=32M',
    '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0',
    '--performance-schema=0', '--max-connections=300',
    '--table-open-cache=400',
)
# Run at each start: the accounts that it comes with have no password.
ACCOUNTS = """\
DROP USER IF EXISTS root@localhost, root@127.0.0.1, root@'::1';
CREATE OR REPLACE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON *.* TO '{user}'@'127.0.0.1';
"""
DATABASE = 'CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb3;\n'


class MariaDB:
    """The server.

    :param processes: ``Processes``
    """

    def __init__(self, processes):
        self._processes = processes
        self._place = processes.place

    def url(self, database):
        """Return the address of a database for SQLAlchemy."""
        secret = self._place.password('mariadb')
        return (f'mysql+pymysql://{USER}:{secret}@127.0.0.1:'
                f'{self._place.port(NAME)}/{database}?charset=utf8')

    def up(self):
        """Start it unless it runs; return once it answers."""
        data = self._make_data()
        init = self._place.path(NAME, 'init.sql')
        self._place.write_private(init, self._init_statements())
        started = self._processes.start(NAME, [
            'mariadbd', '--no-defaults', '--user=root', f'--datadir={data}',
            f'--port={self._place.port(NAME)}', f'--init-file={init}',
            # Relative to the data, as its whole path may be too long.
            '--socket=socket', '--pid-file=pid', *OPTIONS,
        ])
        self._processes.wait(NAME, self.answers)
        return started

    def answers(self):
        """Tell whether it lets us in."""
        if not listens(self._place.port(NAME)):
            return False
        try:
            self.execute('SELECT 1')
        except sa.exc.OperationalError:
            return False
        return True

    def execute(self, statement):
        """Run a statement that belongs to no database."""
        # A password in the address is not shown by what SQLAlchemy raises.
        engine = sa.create_engine(
            self.url(''), isolation_level='AUTOCOMMIT',
            poolclass=sa.pool.NullPool,
        )
        with engine.connect() as connection:
            connection.execute(sa.text(statement))

    def empty(self, database):
        """Make an empty database; return its address for SQLAlchemy."""
        self.execute(f'DROP DATABASE IF EXISTS `{database}`')
        return self.existing(database)

    def existing(self, database):
        """Make a database unless it is there; return its address."""
        self.execute(DATABASE.format(database))
        return self.url(database)

    def _make_data(self):
        data = self._place.path(NAME, 'data')
        if not self._place.is_done(NAME):
            self._processes.run('mariadb-install-db', [
                'mariadb-install-db', '--no-defaults', '--user=root',
                f'--datadir={data}', '--skip-test-db',
                '--auth-root-authentication-method=normal',
                # Whether the name of the machine is known to it or not.
                '--skip-name-resolve', '--force',
            ])
            self._place.done(NAME)
        return data

    def _init_statements(self):
        accounts = ACCOUNTS.format(
            user=USER, password=self._place.password('mariadb')
        )
        return accounts + ''.join(map(DATABASE.format, DATABASES))


def listens(port):
    """Tell whether somebody accepts connections on a loopback port."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=2):
            return True
    except OSError:
        return False
