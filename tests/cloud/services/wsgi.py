# SPDX-License-Identifier: Apache-2.0

"""WSGI applications of the services' virtual environment under gunicorn."""

import urllib.request

MODULE = """\
import sys

# The application parses the command line, which is gunicorn's.
sys.argv = {arguments!r}
from {module} import application  # noqa: E402, F401
"""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def command(venv, port, folder):
    """Return the arguments that serve the module ``served`` of a folder."""
    return [
        venv / 'bin' / 'gunicorn', f'--bind=127.0.0.1:{port}',
        '--worker-class=gthread', '--workers=1', '--threads=8',
        '--timeout=300', '--graceful-timeout=5',
        # A request that is sent just when the server closes an idle
        # connection is lost. Clients that wait ask every few seconds; by
        # default the server closes after two.
        '--keep-alive=75',
        '--no-control-socket', f'--chdir={folder}', 'served:application',
    ]


class Application:
    """An HTTP service.

    :param processes: ``Processes``
    :param name: of the service and of its port
    :param module: the module with its WSGI application
    """

    def __init__(self, processes, name, port, module):
        self._processes = processes
        self._name = name
        self._module = module
        self._port = processes.place.port(port)
        self._url = processes.place.url(port)

    def start(self, venv, arguments=(), more=None):
        """Start it unless it runs; tell whether that was needed.

        :param arguments: the command line that the application is to see
        :param more: environment variables
        """
        folder = self._processes.place.make(self._name)
        program = self._module.partition('.')[0]
        (folder / 'served.py').write_text(MODULE.format(
            module=self._module, arguments=[program, *map(str, arguments)],
        ))
        return self._processes.start(
            self._name, command(venv, self._port, folder),
            self._processes.environment(venv, more),
        )

    def wait(self, path, timeout=300):
        """Return when it answers a request."""
        # A worker that dies at its start leaves the port open, so that each
        # attempt needs an end of its own.
        self._processes.wait(
            self._name, lambda: answers(self._url + path), timeout
        )


def answers(url):
    """Tell whether a request is answered, and with success."""
    try:
        with _OPENER.open(url, timeout=30) as answer:
            return answer.status == 200
    except OSError:
        return False
