# SPDX-License-Identifier: Apache-2.0

"""A real HTTP server in a thread, for what the tests need of others."""

import http.server
import sys
import threading


class HttpServer:
    """The server; a context manager.

    :param handler: a ``BaseHTTPRequestHandler``

    ``url`` is its address, without a path.
    """

    def __init__(self, handler):
        self._server = _Server(('127.0.0.1', 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,)
        )
        self.port = self._server.server_address[1]
        self.url = f'http://127.0.0.1:{self.port}'

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Writes no log."""

    def log_message(self, *arguments):
        """Nobody reads it."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Report what is wrong here, but not that a client has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
