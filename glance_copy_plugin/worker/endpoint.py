# SPDX-License-Identifier: Apache-2.0

"""The place where the processes of one worker meet their HTTP endpoint.

It is opened before the processes are, so that a port that is in use ends the
command at its start, and a process that serves the endpoint and dies can be
replaced.
"""

import contextlib
import importlib
import os
import socket
import socketserver
import tempfile
from wsgiref import simple_server

from oslo_log import log as logging

from glance_copy_plugin.transfer import instrumentation

LOG = logging.getLogger(__name__)


class Endpoint:
    """The open port, and the folder through which processes hand numbers on.

    :param server: :class:`Server`
    :param folder: the folder
    :param workers: how many processes make copies
    """

    def __init__(self, server, folder, workers):
        self._server = server
        self._folder = folder
        self._workers = workers

    def count(self, stores):
        """Count from now on what this process does.

        :param stores: names of the stores that it can write
        """
        # Only for the process that serves it, and for those that come after.
        self._server.server_close()
        metrics = importlib.import_module(
            'glance_copy_plugin.worker.metrics'
        )
        try:
            instrumentation.use(metrics.Metrics(stores, self._folder))
        except OSError as exc:
            LOG.error(
                'What this process does is not counted, since %(folder)s '
                'cannot be written: %(why)s',
                {'folder': self._folder, 'why': exc.strerror},
            )

    def serve(self, board):
        """Answer requests; does not return.

        :param board: :class:`Board`
        """
        exporting = importlib.import_module(
            'glance_copy_plugin.worker.endpoint_pages'
        )
        self._server.set_app(
            exporting.Application(board, self._folder, self._workers)
        )
        self._server.serve_forever()


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Answers each request in a thread of its own."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client has gone away."""
        LOG.debug('No answer to a request from %s', client_address)


class _Handler(simple_server.WSGIRequestHandler):

    # So long a client may take to say what it wants.
    timeout = 10

    def log_message(self, *args):
        LOG.debug(*args)


class _Server6(Server):

    address_family = socket.AF_INET6


@contextlib.contextmanager
def opened(group, workers):
    """Open what the configuration asks for; close it at the end.

    :param group: the options of ``[copy_image]``
    :param workers: how many processes will make copies
    :returns: context that yields an :class:`Endpoint`, or None if none is
        wanted
    :raises RuntimeError: in one sentence, if there can be none
    """
    if not group.worker_metrics_port:
        yield None
        return
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            _listen(group.worker_metrics_address, group.worker_metrics_port)
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory(
            prefix='glance-copy-worker-', dir=os.environ.get(
                'RUNTIME_DIRECTORY'
            ),
        ))
        _check_library()
        yield Endpoint(server, folder, workers)


def _listen(address, port):
    made = _Server6 if ':' in address else Server
    try:
        return made((address, port), _Handler)
    except OSError as exc:
        raise RuntimeError(
            f'[copy_image] worker_metrics_port {port} cannot be opened on '
            f'{address}: {exc.strerror}'
        ) from None


def _check_library():
    try:
        importlib.import_module('prometheus_client')
    except ImportError as exc:
        raise RuntimeError(
            '[copy_image] worker_metrics_port needs a library that is not '
            f'installed ({exc.name}): install glance-copy-plugin[metrics]'
        ) from None
