# SPDX-License-Identifier: Apache-2.0

"""A HTTP server that sends everybody on to another address."""

from tests.parts import http_server


class Redirector(http_server.HttpServer):
    """The server; a context manager.

    :param url: what comes in front of the path, to make the address
    """

    def __init__(self, url, status=301):
        self.asked = []
        redirector = self

        class Handler(http_server.Handler):
            def _send_on(self):
                redirector.asked.append((self.command, self.path))
                self.send_response(status)
                self.send_header('Location', url + self.path)
                self.send_header('Content-Length', '0')
                self.end_headers()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _send_on

        super().__init__(Handler)
