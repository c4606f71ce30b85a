# SPDX-License-Identifier: Apache-2.0

"""Glance under gunicorn, which every machine with the tests has."""

import functools
import subprocess
import sys

from tests.harness import loaded
from tests.harness import process


class Gunicorn:
    """The usual one: everything stands in its command line.

    :param options: more of them, as ``--preload``
    :param python: of another virtual environment
    """

    def __init__(self, *options, python=sys.executable):
        self._options = options
        self._python = python

    @staticmethod
    def missing():
        """Return why there can be no gunicorn here: there always is."""
        return None

    def start(self, server, listener):
        """Start a ``GlanceServer`` on a listening socket.

        :returns: its :class:`~tests.harness.process.ProcessGroup`
        """
        arguments = [
            *_extra_options(self._python),
            '--worker-class=gthread',
            f'--workers={server.workers}',
            f'--threads={server.threads}',
            f'--graceful-timeout={server.graceful_timeout}',
            '--timeout=300',
            *self._options,
            f'--bind=fd://{listener.fileno()}',
            'glance.wsgi.api:application',
        ]
        environment = server.process_environment()
        if self._has_to_load(server):
            return process.start(
                [self._python, '-m', 'gunicorn', *arguments],
                server.log, server.folder, environment,
                inherit=[listener.fileno()],
            )
        return process.ProcessGroup(loaded.start(
            'gunicorn.app.wsgiapp:run', arguments, log=server.log,
            folder=loaded.ROOT, environment=environment,
            inherit=[listener.fileno()],
        ))

    def _has_to_load(self, server):
        """True if it loads Glance in its own way, or from its own place."""
        return bool(
            self._options
            or self._python != sys.executable
            or 'PYTHONPATH' in server.environment
        )

    def workers(self, group):
        """Return the processes of a group that run Glance."""
        return group.children()


@functools.cache
def _extra_options(python):
    """Return the options that only newer releases of gunicorn have."""
    done = subprocess.run(
        [python, '-m', 'gunicorn', '--help'],
        capture_output=True,
        text=True,
        check=True,
    )
    option = '--no-control-socket'
    return [option] if option in done.stdout else []
