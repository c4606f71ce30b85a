# SPDX-License-Identifier: Apache-2.0

"""radosgw: a server of S3, which keeps its objects in a Ceph cluster."""

import json

from tests.cloud.services import wsgi
from tests.irods_server import certificate

ACCOUNT = 'client.rgw'
# What a bucket's name can be in front of.
DOMAIN = 'localhost'


class Radosgw:
    """The server.

    :param processes: ``Processes``
    :param ceph: ``Ceph``, which runs
    :param name: of its process; another one serves the same objects
    """

    def __init__(self, processes, ceph, name='radosgw'):
        self._name = name
        self._processes = processes
        self._place = processes.place
        self._ceph = ceph

    @property
    def url(self):
        """The HTTP address."""
        return self._place.url(self._name)

    @property
    def secure_url(self):
        """The HTTPS address."""
        return f'https://127.0.0.1:{self._place.port(f"{self._name}-tls")}'

    @property
    def authority(self):
        """The file with the certificate to trust."""
        return self._place.make(self._name) / 'server.crt'

    def up(self):
        """Start it, unless it runs; return once it answers."""
        self._once('account', self._make_account)
        self._start()
        if not self._place.is_done('radosgw-compression'):
            # Its first start makes the zone, and a start reads what it says.
            self._compress()
            self.stop()
            self._start()
            self._place.done('radosgw-compression')

    def _start(self):
        if not self._processes.alive(self._name):
            certificate.make(self.authority.parent)
        address, secure = (
            url.partition('://')[2] for url in (self.url, self.secure_url)
        )
        self._processes.start(self._name, [
            'radosgw', '-f', '-c', self._ceph.conf, '-n', ACCOUNT,
            '--rgw-dns-name', DOMAIN, '--rgw-frontends',
            f'beast endpoint={address} ssl_endpoint={secure} '
            f'ssl_certificate={self.authority} '
            f'ssl_private_key={self.authority.with_suffix(".key")}',
        ])
        self._processes.wait(
            self._name, lambda: wsgi.answers(f'{self.url}/')
        )

    def stop(self):
        """Stop it; what it has acknowledged stays."""
        self._processes.stop(self._name)

    def make_user(self, name, key, secret):
        """Make a user with this key, unless it was made before."""
        self._once(f'user-{name}', lambda: self._admin(
            'user', 'create', '--uid', name, '--display-name', name,
            '--access-key', key, '--secret-key', secret,
        ))

    def set_quota(self, name, count):
        """Let a user have so many bytes in all; no limit if None."""
        if count is None:
            self._admin('quota', 'disable', '--quota-scope', 'user',
                        '--uid', name)
            return
        self._admin('quota', 'set', '--quota-scope', 'user', '--uid', name,
                    '--max-size', str(count))
        self._admin('quota', 'enable', '--quota-scope', 'user',
                    '--uid', name)

    def _admin(self, *words):
        return json.loads(self._ceph.run('radosgw-admin', *words) or 'null')

    def _make_account(self):
        self._ceph.run('ceph', 'auth', 'get-or-create', ACCOUNT)
        self._ceph.run(
            'ceph', 'auth', 'caps', ACCOUNT, 'mon', 'allow rw',
            'osd', 'allow rwx', 'mgr', 'allow rw',
        )
        self._place.write_private(
            self._ceph.user_keyring('rgw'),
            self._ceph.run('ceph', 'auth', 'get', ACCOUNT),
        )

    def _compress(self):
        """Have images of many zeroes take no room on the disk."""
        self._admin(
            'zone', 'placement', 'modify', '--rgw-zone', 'default',
            '--placement-id', 'default-placement', '--compression', 'zlib',
        )

    def _once(self, step, make):
        step = f'radosgw-{step}'
        if not self._place.is_done(step):
            make()
            self._place.done(step)
