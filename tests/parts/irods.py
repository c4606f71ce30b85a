# SPDX-License-Identifier: Apache-2.0

"""A zone of the test server, and stores that keep images in it."""

import base64
import hashlib
import io

from glance_store import exceptions
from glance_store import location as store_location
from oslo_config import cfg

from glance_store_irods import location
from glance_store_irods import store
from tests.functional import helpers
from tests.parts.data import some

USER = 'glance'
PASSWORD = 'correct horse battery staple'
PAM_PASSWORD = 'known to the system alone'
# Small, so that an image of several chunks is quickly moved.
CHUNK = 64 * 1024
# Seconds to wait for a zone that hangs; one that works is much faster.
SOON = 2

# An image that is sent in more than one piece.
IMAGE = some(2 * CHUNK)


class Irods:
    """A running zone with a user that is no administrator.

    :param server: IrodsServer
    """

    def __init__(self, server):
        self.server = server
        self.stores = []
        server.add_user(USER, PASSWORD, pam_password=PAM_PASSWORD)
        self.collection = self.add_collection('images')

    def add_collection(self, name):
        """Make a collection of the user's; return its path."""
        path = f'/{self.server.zone}/home/{USER}/{name}'
        self.server.catalog.make_collections((USER, self.server.zone), path)
        return path

    def add_resource(self, name, capacity=None):
        """Make a resource; return what a store calls it."""
        return self.server.add_resource(name, capacity).name

    def options(self):
        """Return the options that a store needs for this zone."""
        return {
            'host': self.server.host, 'port': self.server.port,
            'zone': self.server.zone, 'user': USER, 'password': PASSWORD,
            'path': self.collection, 'chunk_size': CHUNK,
            'connection_timeout': 60, 'timeout': 60,
        }

    def settings(self, **more):
        """Return the same, and more, as the configuration of Glance has it."""
        return {
            f'irods_store_{name}': value
            for name, value in {**self.options(), **more}.items()
        }

    def store(self, name='s1', **options):
        """Return a store that is configured with these options and ours.

        An option that is None is left out.
        """
        made = unconfigured(name, **{**self.options(), **options})
        self.stores.append(made)
        made.configure(re_raise_bsc=True)
        return made

    def fails(self, store, kind, content, **more):
        """Add an image, which must fail and leave nothing.

        Return the error.
        """
        before = self.objects()
        error = _error_of(kind, add, store, content, **more)
        assert self.objects() == before
        assert self.server.open_files == 0
        return error

    def let_a_question_time_out(self, store):
        """Ask something that is not answered within the store's time.

        What has hung for longer, and with the same limit, is late then too.
        """
        hang = self.server.faults.hang_on('query', times=9)
        _error_of(exceptions.RemoteServiceUnavailable, store.list)
        hang.release()

    def end(self):
        """Fail if a store has kept a connection from others."""
        for made in self.stores:
            if made._sessions is not None:
                assert made.sessions.in_use == 0
                made.sessions.close()

    def objects(self):
        """Return the names of all objects in the collection."""
        return [
            path.removeprefix(f'{self.collection}/')
            for path in self.server.objects(self.collection)
        ]

    @property
    def image_path(self):
        """The path of the object ``image``."""
        return f'{self.collection}/image'

    def wait_connected(self, count):
        """Return when so many connections to the server are open."""
        helpers.wait_until(
            lambda: self.server.active_connections == count,
            f'{count} connections are open',
        )

    def put(self, name, data, **more):
        """Make an object of the user's without a client; return its URL."""
        path = f'{self.collection}/{name}'
        self.server.put(path, data, user=USER, **more)
        return location.url_of(path)


def _error_of(kind, function, *args, **more):
    """Return what a call raises, which must be of this kind."""
    try:
        function(*args, **more)
    except kind as exc:
        return exc
    raise AssertionError('it succeeded')


def unconfigured(name, **options):
    """Return a store with these options, not configured yet."""
    conf = cfg.ConfigOpts()
    made = store.Store(conf, backend=name)
    conf([], project='glance', default_config_files=[])
    for option, value in options.items():
        if value is not None:
            conf.set_override(f'irods_store_{option}', value, group=name)
    return made


def location_of(made, url):
    """Return the Location of an object in a store, as glance_store does."""
    return store_location.Location(
        'irods', made.get_store_location_class(), made.conf, uri=url,
        backend=made.backend_group,
    )


def add(made, data, image_id='image', size=None, algorithm='sha512', **more):
    """Add an image; return what the driver returns.

    :param data: bytes or a source
    """
    if isinstance(data, bytes):
        size = len(data) if size is None else size
        data = io.BytesIO(data)
    return made.add(image_id, data, size or 0, algorithm, **more)


def read(made, url, **more):
    """Return the bytes of an image."""
    chunks, _size = made.get(location_of(made, url), **more)
    return b''.join(chunks)


def delete(made, url):
    made.delete(location_of(made, url))


def get_size(made, url):
    return made.get_size(location_of(made, url))


def sha2(data):
    """Return the checksum that iRODS records of some bytes."""
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return f'sha2:{digest}'
