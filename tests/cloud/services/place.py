# SPDX-License-Identifier: Apache-2.0

"""The folder that everything lives in, and what is recorded there."""

import contextlib
import errno
import fcntl
import itertools
import json
import os
import pathlib
import random
import secrets
import socket
import threading

from tests.cloud.services import errors

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Below the range that systems take ports for clients from.
FIRST_PORT = 25000
LAST_PORT = 32000
BLOCK = 80
PORTS = (
    'keystone', 'cinder', 'glance', 'amqp', 'epmd', 'erlang', 'ceph-mon-v1',
    'ceph-mon-v2', 'mariadb', 'edge-mon-v1', 'edge-mon-v2', 'far-mon-v1',
    'far-mon-v2', 'radosgw', 'radosgw-2', 'radosgw-tls',
    'radosgw-2-tls', 'swift', 'swift-2', 'swift-account', 'swift-container',
    'swift-object',
)
# The other daemons of each Ceph cluster take theirs from the rest.
CEPH_PORTS = {'ceph': 32, 'edge': 48, 'far': 64}
CEPH_COUNT = 16
# A Unix socket's path holds 107 bytes, and daemons add to the folder's.
LONGEST_FOLDER = 70


def default_folder():
    """Return the folder of the checkout, unless the environment names one."""
    return pathlib.Path(os.environ.get('CLOUD_FOLDER') or ROOT / '.cloud')


class Place:
    """One cloud's folder, ports, passwords and steps that are done.

    :param folder: made when missing

    ``share`` ends the names of what one process of tests has for itself:
    accounts, pools, regions, and the folders of its Glances.
    """

    def __init__(self, folder=None):
        self.share = ''
        self.folder = pathlib.Path(folder or default_folder()).resolve()
        if len(str(self.folder)) > LONGEST_FOLDER:
            raise errors.Unavailable(
                f'{self.folder} is longer than {LONGEST_FOLDER} characters, '
                'too long for the sockets in it; set CLOUD_FOLDER to another.'
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._recording = threading.Lock()

    def path(self, *parts):
        """Return a path in the folder; the folders above it are made."""
        found = self.folder.joinpath(*parts)
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def make(self, *parts):
        """Return a folder in the folder, made when missing."""
        found = self.path(*parts)
        found.mkdir(exist_ok=True)
        return found

    def log(self, name):
        """Return the file that a service's output is appended to."""
        return self.path('logs', f'{name}.log')

    def write_private(self, path, text):
        """Write a file that holds a secret."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'w', opener=_open_private) as stream:
            stream.write(text)

    @property
    def cluster(self):
        """The Ceph cluster's name, which keeps two of them apart.

        os-brick reads ``/etc/ceph/<cluster>.client.<user>.keyring``.
        """
        return f'glancecopytest{self._base()}'

    def port(self, name):
        """Return the port of a service, the same as long as data are kept."""
        return self._base() + PORTS.index(name)

    def ceph_ports(self, cluster):
        """Return the first and the last port of a cluster's daemons."""
        first = self._base() + CEPH_PORTS[cluster]
        return first, first + CEPH_COUNT - 1

    @property
    def number(self):
        """A number below 256 that no other cloud of this machine has."""
        return (self._base() - FIRST_PORT) // BLOCK

    def url(self, name, suffix=''):
        """Return the HTTP address of a service."""
        return f'http://127.0.0.1:{self.port(name)}{suffix}'

    def password(self, name):
        """Return the password of an account, made at the first call."""
        return self.remember(f'password-{name}', secrets.token_hex(16))

    @contextlib.contextmanager
    def shared(self):
        """Have a share that no other process has."""
        for number in itertools.count():
            with self.path('shares', str(number)).open('w') as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                self.share = f'-{number}'
                try:
                    yield
                finally:
                    self.share = ''
                return

    def is_done(self, step):
        """Tell whether a step that is needed once has been completed."""
        return self.path('done', step).exists()

    def done(self, step):
        """Record that a step has been completed."""
        self.path('done', step).touch()

    @contextlib.contextmanager
    def locked(self, wait=False):
        """Let nobody else start or stop services meanwhile.

        :param wait: for somebody else who does it
        """
        how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        with self.path('lock').open('w') as stream:
            try:
                fcntl.flock(stream, how)
            except BlockingIOError:
                raise errors.CloudError(
                    f'Somebody else is starting or stopping the services in '
                    f'{self.folder}; wait for that.'
                ) from None
            yield

    def _base(self):
        if not self.path('record', 'ports').exists():
            self.remember('ports', _free_block())
        return self.remember('ports', None)

    def remember(self, name, value):
        """Return what is recorded, which is ``value`` the first time."""
        path = self.path('record', name)
        with self._recording:
            if not path.exists():
                temporary = path.with_suffix(f'.{os.getpid()}')
                self.write_private(temporary, json.dumps(value))
                # Another process may have been the first.
                with contextlib.suppress(FileExistsError):
                    path.hardlink_to(temporary)
                temporary.unlink()
        return json.loads(path.read_text())


def _open_private(path, flags):
    # A file that others could read before stays readable to them otherwise.
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _free_block():
    """Return the first of so many ports that all are free."""
    starts = list(range(FIRST_PORT, LAST_PORT - BLOCK, BLOCK))
    random.shuffle(starts)
    for start in starts:
        if all(is_free(port) for port in range(start, start + BLOCK)):
            return start
    raise errors.Unavailable(
        f'No {BLOCK} ports in a row are free between {FIRST_PORT} and '
        f'{LAST_PORT}.'
    )


def is_free(port):
    """Tell whether nobody listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
