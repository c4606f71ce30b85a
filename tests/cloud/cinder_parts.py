# SPDX-License-Identifier: Apache-2.0

"""Drivers in this process, a way to Cinder that can fail, and evictions."""

import contextlib
import hashlib
import http.server
import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import uuid

from cinderclient import exceptions as cinder_exceptions
import glance_store
from glance_store import location
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_context import context
import requests

from tests.cloud.services import identity
from tests.cloud.services import place
from tests.cloud.services import rootwrap
from tests.functional import helpers

# To see what the driver of glance_store does in the same tests.
STOCK = 'cinder'
DRIVER = os.environ.get('CINDER_DRIVER') or 'cinder_multi'
MIB = helpers.MIB


class Stores:
    """Drivers as glance_store loads them, used without Glance.

    :param cloud: ``Cloud``
    :param folder: empty
    :param given: {store: {'driver': ..., option: value}}, the default first
    """

    def __init__(self, cloud, folder, given):
        self.folder = folder
        lines = ['[DEFAULT]', 'enabled_backends = ' + ','.join(
            f'{name}:{told["driver"]}' for name, told in given.items()
        ), '[glance_store]', f'default_backend = {next(iter(given))}']
        its_rootwrap = rootwrap.write(folder)
        for name, told in given.items():
            lines += [f'[{name}]', f'rootwrap_config = {its_rootwrap}']
            lines += [
                f'{option} = {value}' for option, value in told.items()
                if option != 'driver'
            ]
        self.path = folder / 'glance.conf'
        self.path.touch(mode=0o600)
        self.path.write_text('\n'.join(lines) + '\n')
        self._load()

    @classmethod
    def of_file(cls, path):
        """Load them again, in another process."""
        made = cls.__new__(cls)
        made.path = path
        made._load()
        return made

    def _load(self):
        self._opened = []
        if DRIVER == STOCK:
            # It keeps a session in its module, with an old catalogue. Loaded
            # any earlier, os-brick would not find the bindings of Ceph.
            importlib.import_module(
                'glance_store._drivers.cinder.store'
            )._reset_cinder_session()
        self.conf = cfg.ConfigOpts()
        self.conf.register_opt(cfg.DictOpt('enabled_backends'))
        self.conf([], default_config_files=[str(self.path)])
        location.SCHEME_TO_CLS_BACKEND_MAP.clear()
        glance_store.register_store_opts(self.conf)
        glance_store.create_multi_stores(self.conf)
        self.context = context.RequestContext(
            user_id='a user', project_id='a project'
        )

    def __getitem__(self, name):
        return location.SCHEME_TO_CLS_BACKEND_MAP['cinder'][name]['store']

    def at(self, name, url):
        """Return the location that a URL of a store means."""
        return location.get_location_from_uri_and_backend(
            url, name, conf=self.conf
        )

    def add(self, name, content, size=None, source=None):
        """Add an image; return its id and its URL."""
        image_id = str(uuid.uuid4())
        answer = self[name].add(
            image_id, source or io.BytesIO(content),
            len(content) if size is None else size, 'sha512',
            context=self.context,
        )
        if source is None:
            assert answer[1] == len(content)
            assert answer[2] == hashlib.md5(
                content, usedforsecurity=False
            ).hexdigest()
            assert answer[3] == hashlib.sha512(content).hexdigest()
        return image_id, answer[0]

    def get(self, name, url, **how):
        """Return the iterator that a driver gives."""
        found = self[name].get(
            self.at(name, url), context=self.context, **how
        )[0]
        if DRIVER == STOCK:
            self._opened.append(found)
        return found

    def close(self):
        """Close what tests have left open when glance_store's driver failed.

        With that driver nothing else would, as long as pytest has a traceback.
        """
        for each in self._opened:
            each.close()

    def read(self, name, url, **how):
        """Return an image's bytes."""
        return b''.join(self.get(name, url, **how))

    def delete(self, name, url):
        self[name].delete(self.at(name, url), context=self.context)


def volume_of(url):
    """Return the id of the volume that a URL names."""
    return url.rpartition('/')[2]


def wait_gone(cinder, volume_id):
    """Wait until a volume is gone."""
    def gone():
        try:
            cinder.volumes.get(volume_id)
        except cinder_exceptions.NotFound:
            return True
        return False

    helpers.wait_until(gone, f'volume {volume_id} to be gone')


def image_in_ceph(pool, volume_id):
    """Return the name of the image in Ceph that a volume is."""
    return f'{pool}/volume-{volume_id}'


def evict(cloud, pool, volume_id):
    """Let Ceph refuse everything from now on to who has opened a volume."""
    status = json.loads(cloud.ceph.run(
        'rbd', 'status', image_in_ceph(pool, volume_id), '--format', 'json'
    ))
    watchers = status['watchers']
    assert watchers, 'nobody has opened the volume'
    for watcher in watchers:
        cloud.ceph.run(
            'ceph', 'osd', 'blocklist', 'add', watcher['address'], '600'
        )


@contextlib.contextmanager
def environment(cloud, folder):
    """Let drivers in this process find programs and temporary folders."""
    path = cloud.processes.environment(pathlib.Path(sys.prefix))['PATH']
    before, temporary = dict(os.environ), tempfile.tempdir
    own = folder / 'tmp'
    own.mkdir()
    os.environ.update(
        PATH=path, TMPDIR=str(own), NO_PROXY='127.0.0.1',
        no_proxy='127.0.0.1',
    )
    tempfile.tempdir = str(own)
    lockutils.set_defaults(str(folder / 'locks'))
    try:
        yield own
    finally:
        tempfile.tempdir = temporary
        os.environ.clear()
        os.environ.update(before)


def through_gate(cloud):
    """Return the options of a store to which the gate is Cinder.

    Stores that name no region ask for public endpoints, and do not find it.
    """
    return {
        'cinder_os_region_name': f'RegionFaulty{cloud.place.share}',
        'cinder_catalog_info': 'block-storage::internalURL',
    }


class Gate:
    """A way to the real Cinder that counts, and fails when told so.

    It has a region of its own in Keystone's catalogue.

    :param cloud: ``Cloud``
    """

    def __init__(self, cloud):
        self.requests = []
        self._failures = []
        self._target = cloud.place.url('cinder')
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do(self):
                gate._handle(self)

            do_GET = do_POST = do_PUT = do_DELETE = do

            def log_message(self, *_):
                """The service has a log of its own."""

        self._handler = Handler
        self._port = 0

    @property
    def url(self):
        return f'http://127.0.0.1:{self._port}'

    def __enter__(self):
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', self._port), self._handler
        )
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, daemon=True
        ).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def closed(self):
        """Let nobody get in."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def fail(self, method, part, times, status=500, after=False):
        """Answer so many requests with an error.

        :param part: of the path, or of the body
        :param after: have Cinder do it nevertheless
        """
        self._failures.append([method, part, times, status, after])

    def heal(self):
        """Fail no more."""
        self._failures.clear()

    def count(self, method, part):
        """Return how many requests there were."""
        return sum(
            method == made and part in what for made, what in self.requests
        )

    def _handle(self, request):
        length = int(request.headers.get('Content-Length') or 0)
        body = request.rfile.read(length)
        what = f'{request.path} {body.decode(errors="replace")}'
        self.requests.append((request.command, what))
        failure = self._failure(request.command, what)
        if failure is None or failure[4]:
            answer = self._forward(request, body)
            status, headers = answer.status_code, answer.headers
            content = answer.content
        if failure is not None:
            status, headers = failure[3], {'Content-Type': 'text/plain'}
            content = b'the gate fails'
        request.send_response(status)
        for name in ('Content-Type', 'ETag', 'x-openstack-request-id'):
            if name in headers:
                request.send_header(name, headers[name])
        request.send_header('Content-Length', str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _failure(self, method, what):
        for failure in self._failures:
            if failure[0] == method and failure[1] in what and failure[2]:
                failure[2] -= 1
                return failure
        return None

    def _forward(self, request, body):
        headers = {
            name: value for name, value in request.headers.items()
            if name.lower() not in ('host', 'connection', 'accept-encoding')
        }
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                request.command, self._target + request.path, data=body,
                headers=headers, timeout=300,
            )


def point_region_to(cloud, url):
    """Make the region in the catalogue lead to another address."""
    with identity.connect(cloud.place) as admin:
        keystone = admin.identity
        region = through_gate(cloud)['cinder_os_region_name']
        if keystone.find_region(region) is None:
            keystone.create_region(id=region)
        service = keystone.find_service('cinder')
        for endpoint in keystone.endpoints(
            service_id=service.id, region_id=region
        ):
            keystone.delete_endpoint(endpoint)
        keystone.create_endpoint(
            service_id=service.id, interface='internal', url=f'{url}/v3',
            region_id=region,
        )


class Other:
    """Another process that uses one of the stores, until it is told to end.

    :param stores: ``Stores``
    :param words: ``add <store> <image id>`` or ``read <store> <url>``
    """

    def __init__(self, stores, *words):
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tests.cloud.cinder_process',
             str(stores.path), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=place.ROOT,
        )

    def __enter__(self):
        """Return once it is in the middle of its work."""
        assert self._process.stdout.readline() == 'begun\n'
        return self

    def __exit__(self, *_):
        self.kill()
        self._process.stdin.close()
        self._process.stdout.close()

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        self._process.kill()
        self._process.wait()

    def go_on(self):
        """Let it do the rest; it ends then."""
        self._process.stdin.write('go on\n')
        self._process.stdin.flush()

    def end(self):
        """Wait for its end, which must be a good one."""
        assert self._process.wait(600) == 0


class Slow(io.RawIOBase):
    """A source that gives some bytes, and more only when it is allowed."""

    def __init__(self, content, before):
        self._stream = io.BytesIO(content)
        self._before = before
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def read(self, size=-1):
        if self._stream.tell() >= self._before:
            self.begun.set()
            assert self.go_on.wait(600)
        return self._stream.read(min(size, MIB))

