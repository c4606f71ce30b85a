# SPDX-License-Identifier: Apache-2.0

"""Glance under uWSGI, as the PyPI package ``pyuwsgi`` brings it."""

import importlib.util
import re
import sys

from tests.harness import loaded
from tests.harness import process

# The values of the template that comes with Glance, but for addresses, the
# path of the application, and the number of processes. Its time limit is to
# be raised where uploads are slow, and so is the router's.
SETTINGS = {
    'socket-timeout': '300',
    'http-timeout': '300',
    'http-auto-chunked': 'true',
    'http-chunked-input': 'true',
    'http-raw-body': 'true',
    'chmod-socket': '666',
    'lazy-apps': 'true',
    'add-header': 'Connection: close',
    'buffer-size': '65535',
    'thunder-lock': 'true',
    'enable-threads': 'true',
    'exit-on-reload': 'true',
    'die-on-term': 'true',
    'master': 'true',
    # Without it, a reload loses the virtual environment.
    'binary-path': sys.executable,
}
# Also of one that takes the place of another.
STARTED = re.compile(r'uWSGI worker \d+ \((?:new )?pid: (\d+)')


class Uwsgi:
    """uWSGI behind its own HTTP router, which is a process of its own.

    :param settings: laid over :data:`SETTINGS`; None leaves one out
    """

    def __init__(self, **settings):
        self._settings = {
            name.replace('_', '-'): value for name, value in settings.items()
        }
        self._logs = {}

    @staticmethod
    def missing():
        """Return why there can be no uWSGI here, or None."""
        if importlib.util.find_spec('pyuwsgi') is None:
            return (
                'uWSGI is not installed (pip install pyuwsgi, which has '
                'wheels for some systems only)'
            )
        return None

    def start(self, server, listener):
        """Start a ``GlanceServer`` on the port of a socket.

        :returns: its :class:`~tests.harness.process.ProcessGroup`
        """
        listener.close()
        ini = server.conf.parent / 'glance-uwsgi.ini'
        ini.write_text(self._ini(server))
        environment = server.process_environment()
        if self._settings:
            # It may start itself anew, and loads Glance in its own way.
            group = process.start(
                [sys.executable, '-c', 'import pyuwsgi; pyuwsgi.run()', ini],
                server.log, server.folder, environment,
            )
        else:
            group = process.ProcessGroup(loaded.start(
                'tests.harness.wsgi.uwsgi:run', [ini], log=server.log,
                folder=server.folder, environment=environment,
            ))
        self._logs[group.pid] = server.log
        return group

    def workers(self, group):
        """Return the processes of a group that run Glance."""
        text = self._logs[group.pid].read_text(errors='replace')
        started = set(map(int, STARTED.findall(text)))
        return [found for found in group.children() if found.pid in started]

    def _ini(self, server):
        settings = {
            **SETTINGS,
            'http': f'127.0.0.1:{server.port}',
            'module': 'glance.wsgi.api:application',
            'processes': server.workers,
            'threads': server.threads if server.threads > 1 else None,
            'worker-reload-mercy': server.graceful_timeout,
            **self._settings,
        }
        lines = [
            f'{name} = {value}'
            for name, value in settings.items() if value is not None
        ]
        return '\n'.join(['[uwsgi]', *lines, ''])


def run():
    """Be a uWSGI."""
    import pyuwsgi

    pyuwsgi.run(sys.argv[1:])
