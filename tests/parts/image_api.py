# SPDX-License-Identifier: Apache-2.0

"""A small Image service in memory, over real HTTP, that can be made to fail.

It speaks as much of the v2 API as the replicator uses. What it cannot show,
such as Glance's own checks, is tested with a real Glance.
"""

import hashlib
import json
import re
import urllib.parse
import uuid

from tests.parts import http_server

LOST = 0, 'it is done, but nobody is told'
PAGE = 2  # images of one answer, whatever is asked for


class ImageApi(http_server.HttpServer):
    """The service; a context manager.

    ``images`` are its records, ``data`` the bytes, ``members`` the projects
    and ``tasks`` the tasks, each by image id. ``asked`` has (method, path)
    of each request, ``headers`` has the headers of each, and ``copies`` what
    was asked for of copies. ``largest_part`` is the size of the largest part
    of a body that came without a length, and ``seeks`` is false for a store
    that gives data from their beginning only.

    :param stores: what it tells of its stores, or None if it has one only

    ``schema`` is that of its images.
    """

    def __init__(self, stores=('s1', 's2')):
        self.stores = stores
        self.schema = {
            'properties': {}, 'additionalProperties': {'type': 'string'},
        }
        self.images, self.data, self.members = {}, {}, {}
        self.tasks, self.used = {}, set()
        self.asked, self.headers, self.copies = [], [], []
        self.largest_part, self.seeks = 0, True
        self._rules = []
        super().__init__(self._handler())

    def on(self, method, path, do, times=1):
        """Let requests be answered otherwise, so many times.

        :param path: a regular expression that is found in path and query
        :param do: called first; returns (status, body), with headers as
            a third if need be, or None to answer as always. Or that answer
            itself. A status of 0 breaks the connection, one of 307 leads to
            the same place again, and a number of bytes instead of headers
            breaks it after these. ``LOST`` breaks it when all is done.
        """
        self._rules.append([method, path, do, times])

    def add(self, data=b'bytes', **fields):
        """Add an image; return its id."""
        image_id = fields.pop('id', None) or str(uuid.uuid4())
        self.images[image_id] = {
            'id': image_id, 'status': 'queued', 'visibility': 'private',
            'protected': False, 'os_hidden': False, 'tags': [],
            'min_disk': 0, 'min_ram': 0, 'name': 'one', 'owner': 'admin',
            'disk_format': 'raw', 'container_format': 'bare', 'size': None,
            'created_at': '2026-01-01T00:00:00Z', 'stores': '',
        }
        if data is not None:
            self.fill(image_id, data)
        self.images[image_id].update(fields)
        return image_id

    def fill(self, image_id, data):
        """Give an image its data."""
        self.data[image_id] = data
        self.images[image_id].update(
            status='active', size=len(data), os_hash_algo='sha512',
            os_hash_value=hashlib.sha512(data).hexdigest(), stores='s1',
            checksum=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        )

    def count(self, method, path):
        """Return how often something was asked for."""
        return sum(
            method == m and re.search(path, p) is not None
            for m, p in self.asked
        )

    def answer(self, method, path, headers, body):
        """Return status, body (bytes, or something for JSON), and more."""
        self.asked.append((method, path))
        self.headers.append(headers)
        for rule in self._rules:
            if rule[3] and rule[0] == method and re.search(rule[1], path):
                rule[3] -= 1
                do = rule[2]
                found = do() if callable(do) else do
                if found == LOST:
                    self._done(method, path, headers, body)
                if found is not None:
                    return found
        return self._done(method, path, headers, body)

    def _done(self, method, path, headers, body):
        parts = urllib.parse.urlsplit(path)
        words = parts.path.split('/')[2:]
        if words == ['images']:
            return self._all(method, parts.query, body)
        if words == ['info', 'stores']:
            return self._stores()
        if words == ['schemas', 'image']:
            return 200, self.schema
        if words[1] not in self.images:
            return 404, {'message': 'no such image'}
        kind = words[2] if len(words) > 2 else 'record'
        return getattr(self, f'_{kind}')(method, words[1], headers, body)

    def _all(self, method, query, body):
        if method == 'POST':
            fields = json.loads(body)
            if fields.get('id') in {*self.images, *self.used}:
                return 409, '<html><body>it is there</body></html>'
            return 201, self.images[self.add(None, **fields)]
        asked = dict(urllib.parse.parse_qsl(query))
        hidden = asked.get('os_hidden') == 'true'
        found = [
            image for image in self.images.values()
            if image['os_hidden'] is hidden
            and asked.get('status') in (None, image['status'])
        ]
        begin = int(asked.pop('marker', 0))
        page = {'images': found[begin:begin + PAGE]}
        if len(found) > begin + PAGE:
            asked['marker'] = begin + PAGE
            page['next'] = f'/v2/images?{urllib.parse.urlencode(asked)}'
        return 200, page

    def _stores(self):
        if self.stores is None:
            return 404, {'message': 'one store only'}
        return 200, {'stores': [
            {'id': name} for name in self.stores
        ] + [{'id': 'fixed', 'read-only': 'true'}]}

    def _record(self, method, image_id, _headers, body):
        image = self.images[image_id]
        if method == 'DELETE':
            del self.images[image_id]
            self.used.add(image_id)
            return 204, b''
        for change in json.loads(body) if method == 'PATCH' else ():
            name = change['path'][1:].replace('~1', '/').replace('~0', '~')
            if change['op'] != 'add' and name not in image:
                return 409, {'message': f'Property {name} does not exist.'}
            if change['op'] == 'remove':
                del image[name]
            else:
                image[name] = change['value']
        return 200, image

    def _file(self, method, image_id, headers, body):
        if method == 'PUT':
            self.fill(image_id, body)
            return 204, b''
        if 'Range' not in headers:
            return 200, self.data[image_id]
        if not self.seeks:
            return 400, {'message': 'no random access'}
        return 206, self.data[image_id][int(headers['Range'][6:-1]):]

    def _members(self, method, image_id, _headers, body):
        members = self.members.setdefault(image_id, [])
        if method == 'POST':
            members.append(json.loads(body)['member'])
            return 200, {}
        return 200, {'members': [{'member_id': each} for each in members]}

    def _tasks(self, _method, image_id, _headers, _body):
        return 200, {'tasks': self.tasks.get(image_id, [])}

    def _import(self, _method, image_id, _headers, body):
        image, asked = self.images[image_id], json.loads(body)
        self.copies.append(asked)
        image['stores'] = ','.join([image['stores'], *asked['stores']])
        return 202, b''

    def _handler(self):
        api = self

        class Handler(http_server.Handler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True  # or an answer takes 40 ms

            def _do(self):
                body = self._body()
                if body is None:
                    # The client has ended it in the middle.
                    self.close_connection = True
                    return
                status, found, *more = api.answer(
                    self.command, self.path, dict(self.headers), body
                )
                more = more[0] if more else {}
                self.close_connection = not status
                if not status:
                    return
                if isinstance(found, str):
                    found = found.encode()
                elif not isinstance(found, bytes):
                    found = json.dumps(found).encode()
                self.send_response_only(status)
                self.send_header('Content-Length', str(len(found)))
                if status == 307:
                    self.send_header('Location', api.url + self.path)
                if isinstance(more, int):
                    found, more = found[:more], {}
                    self.close_connection = True
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(found)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do

            def _body(self):
                """Return what was sent, or None if not all has come."""
                if self.headers.get('Transfer-Encoding') != 'chunked':
                    length = int(self.headers.get('Content-Length', 0))
                    found = self.rfile.read(length)
                    return found if len(found) == length else None
                found = b''
                while line := self.rfile.readline():
                    size = int(line, 16)
                    found += self.rfile.read(size)
                    self.rfile.readline()
                    if not size:
                        return found
                    api.largest_part = max(api.largest_part, size)
                return None

        return Handler
