# SPDX-License-Identifier: Apache-2.0

"""A HTTP server that sends everybody on to another address."""

import http.server
import threading


class Redirector:
    """The server; a context manager.

    :param url: what comes in front of the path, to make the address
    """

    def __init__(self, url, status=301):
        self.asked = []
        redirector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _send_on(self):
                redirector.asked.append((self.command, self.path))
                self.send_response(status)
                self.send_header('Location', url + self.path)
                self.send_header('Content-Length', '0')
                self.end_headers()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _send_on

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), Handler
        )
        self._server.daemon_threads = True
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
