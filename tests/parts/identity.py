# SPDX-License-Identifier: Apache-2.0

"""A small Identity service: it lets everybody in, and has a catalog."""

import json

from tests.parts import http_server

ENDS = '2099-01-01T00:00:00.000000Z'


class Identity(http_server.HttpServer):
    """The service; a context manager.

    :param token: what it gives to everybody
    :param images: the Image services, {region: URL}
    """

    def __init__(self, token, images):
        self.token = token
        self._catalog = [{'type': 'image', 'name': 'glance', 'endpoints': [
            {'interface': 'public', 'region': region, 'region_id': region,
             'url': url} for region, url in images.items()
        ]}]
        super().__init__(self._handler())
        self.url += '/v3'

    @property
    def cloud(self):
        """What clouds.yaml says of it, apart from regions."""
        return {'auth': {
            'auth_url': self.url, 'username': 'u', 'password': 'p',
            'project_name': 'demo', 'user_domain_name': 'Default',
            'project_domain_name': 'Default',
        }}

    @property
    def variables(self):
        """The same as variables of the environment."""
        return {
            f'OS_{name.upper()}': value
            for name, value in self.cloud['auth'].items()
        }

    def _handler(self):
        service = self

        class Handler(http_server.Handler):
            def do_GET(self):
                self._answer({'version': {
                    'id': 'v3.14', 'status': 'stable',
                    'links': [{'rel': 'self', 'href': f'{service.url}/'}],
                }})

            def do_POST(self):
                self.rfile.read(int(self.headers['Content-Length']))
                domain = {'id': 'default', 'name': 'Default'}
                self._answer({'token': {
                    'methods': ['password'], 'expires_at': ENDS,
                    'user': {'id': 'u', 'name': 'u', 'domain': domain},
                    'project': {
                        'id': 'demo', 'name': 'demo', 'domain': domain,
                    },
                    'roles': [{'id': 'admin', 'name': 'admin'}],
                    'catalog': service._catalog,
                }}, 201)

            def _answer(self, found, status=200):
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header('X-Subject-Token', service.token)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
