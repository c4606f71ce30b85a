# SPDX-License-Identifier: Apache-2.0

"""Glance under uWSGI, as the PyPI package ``pyuwsgi`` brings it."""

import importlib.util
import sys

from tests.harness import process

# As devstack writes it, but for the address.
SETTINGS = {
    'master': 'true',
    'enable-threads': 'true',
    'die-on-term': 'true',
    'exit-on-reload': 'true',
    'thunder-lock': 'true',
    # Without it, a reload loses the virtual environment.
    'binary-path': sys.executable,
    'buffer-size': '65535',
    'add-header': 'Connection: close',
    'lazy-apps': 'true',
}


class Uwsgi:
    """uWSGI that speaks HTTP itself.

    :param settings: laid over :data:`SETTINGS`; None leaves one out
    """

    def __init__(self, **settings):
        self._settings = {
            name.replace('_', '-'): value for name, value in settings.items()
        }

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
        return process.ProcessGroup(
            [sys.executable, '-c', 'import pyuwsgi; pyuwsgi.run()', ini],
            server.log,
            server.folder,
            server.process_environment(),
        )

    def workers(self, group):
        """Return the processes of a group that run Glance."""
        return group.children()

    def _ini(self, server):
        settings = {
            **SETTINGS,
            'http-socket': f'127.0.0.1:{server.port}',
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
