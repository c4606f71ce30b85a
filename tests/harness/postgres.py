# SPDX-License-Identifier: Apache-2.0

"""A real PostgreSQL for tests, on a Unix socket in a folder of its own."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import sqlalchemy as sa

from tests.harness import process

OWNER = 'glance'
SETTINGS = {
    'listen_addresses': '',
    'fsync': 'off',
    'full_page_writes': 'off',
    'synchronous_commit': 'off',
    'max_connections': '300',
}
# sun_path holds 107 bytes, and the socket's name takes some of them.
LONGEST_FOLDER = 80


class Unavailable(Exception):
    """There can be no PostgreSQL here; the text says why."""


def find_programs():
    """Return the folder with initdb and postgres, or raise Unavailable."""
    found = shutil.which('initdb')
    if found:
        return pathlib.Path(found).resolve().parent
    installed = pathlib.Path('/usr/lib/postgresql').glob('*/bin/initdb')
    newest = sorted(installed, key=lambda path: float(path.parts[-3]))
    if not newest:
        raise Unavailable(
            'PostgreSQL is not installed (Debian: apt-get install postgresql)'
        )
    return newest[-1].parent


def unprivileged_user():
    """Return the user that servers run as; None means this one.

    PostgreSQL refuses to run as root, and so does mod_wsgi.
    """
    if os.geteuid() != 0:
        return None
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unavailable('servers that refuse to run as root need a user '
                      '"postgres" or "nobody"')


class Postgres:
    """A PostgreSQL server; a context manager that starts and stops it.

    :param folder: where its data live; a temporary folder by default. The
        user that the server runs as must be able to enter it
    """

    def __init__(self, folder=None):
        self._base = folder
        self._group = None
        self._command = []
        self._options = {}
        self.folder = None

    def __enter__(self):
        return self if self._group else self.start()

    def __exit__(self, *error):
        self.stop()

    def start(self, timeout=120):
        """Make its data and start it; raise ``Unavailable`` if it can't."""
        programs = find_programs()
        user = unprivileged_user()
        self.folder = pathlib.Path(
            tempfile.mkdtemp(prefix='postgres-', dir=self._base)
        ).resolve()
        try:
            self._start(programs, user, time.monotonic() + timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """End it and remove its data."""
        if self._group:
            # SIGINT is its fast shutdown: it does not wait for clients.
            self._group.terminate(20, signal.SIGINT)
            self._group = None
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def stopped(self):
        """Have it stopped for a while; it starts again with its data."""
        self._group.terminate(20, signal.SIGINT)
        try:
            yield
        finally:
            self._launch(time.monotonic() + 60)

    def url(self, name):
        """Make an empty database; return its address for SQLAlchemy."""
        engine = sa.create_engine(
            self._address('postgres'), isolation_level='AUTOCOMMIT'
        )
        with engine.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self._address(name)

    def _address(self, name):
        return f'postgresql+psycopg2://{OWNER}@/{name}?host={self.folder}'

    def _start(self, programs, user, deadline):
        if len(str(self.folder)) > LONGEST_FOLDER:
            raise Unavailable(f'{self.folder} is too long for a socket')
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._options = {
                'user': user.pw_uid,
                'group': user.pw_gid,
                'extra_groups': [],
            }
        data = self.folder / 'data'
        self._make_data(programs, data, self._options)
        self._command = [programs / 'postgres', '-D', data, '-k', self.folder]
        for name, value in SETTINGS.items():
            self._command += ['-c', f'{name}={value}']
        self._launch(deadline)

    def _launch(self, deadline):
        log = self.folder / 'postgres.log'
        self._group = process.start(
            self._command, log, '/', _environment(), **self._options
        )
        self._wait(log, deadline)

    def _make_data(self, programs, data, options):
        done = subprocess.run(
            [programs / 'initdb', '-D', data, '-U', OWNER, '--auth=trust',
             '--encoding=UTF8', '--locale=C', '--no-sync'],
            cwd='/',
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        if done.returncode:
            raise Unavailable(
                f'initdb failed in {self.folder}, which the server\'s user '
                f'may not be able to enter: {done.stdout[-500:].strip()}'
            )

    def _wait(self, log, deadline):
        engine = sa.create_engine(self._address('postgres'))
        while True:
            try:
                engine.connect().close()
                break
            except sa.exc.OperationalError as error:
                ended = self._group.returncode() is not None
                if ended or time.monotonic() > deadline:
                    raise Unavailable(
                        f'PostgreSQL did not start ({error.orig}): '
                        f'{log.read_text()[-1000:]}'
                    ) from None
                time.sleep(0.1)
        engine.dispose()


def _environment():
    kept = ('PATH', 'TMPDIR', 'HOME')
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, 'LC_ALL': 'C'}
