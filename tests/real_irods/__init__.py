# SPDX-License-Identifier: Apache-2.0

"""A real zone in the place of the test server, for those who have one.

A real zone cannot be told to fail: a test that needs that is skipped, at the
point where it would do so.
"""

import contextlib
import os
import uuid

import pytest

from tests import irods_server
from tests.irods_server import inspection
from tests.parts import irods

PREFIX = 'REAL_IRODS_'


@contextlib.contextmanager
def zone_or_double(folder):
    """Yield the zone that the environment names, else one for this test.

    :param folder: where a test server keeps its files
    """
    if f'{PREFIX}HOST' in os.environ:
        with contextlib.closing(RealIrods()) as zone:
            yield zone
        return
    with irods_server.IrodsServer(folder) as server:
        yield irods.Irods(server)
        # No store keeps an object open.
        assert server.open_files == 0


class RealIrods(irods.Irods):
    """The same as a zone of the test server, as far as can be."""

    def __init__(self):
        self.server = RealServer()
        self.stores = []
        self._folder = f'{self.server.home}/tests-{uuid.uuid4().hex[:12]}'
        self.collection = self.add_collection('images')

    def add_collection(self, name):
        path = f'{self._folder}/{name}'
        self.server.session.collections.create(path, recurse=True)
        return path

    def add_resource(self, name, capacity=None):
        """Return the resource to write to; None for the zone's choice."""
        if capacity is not None or name == 'second':
            pytest.skip(f'a real zone has no resource {name}: {_WHY}')
        return _told('RESOURCE', '') or None

    def options(self):
        server, tls = self.server, {}
        if server.ca_file:
            tls = {'tls': True, 'ca_file': server.ca_file}
        return {
            'host': server.host, 'port': server.port, 'zone': server.zone,
            'user': server.user, 'password': server.password,
            'path': self.collection, 'chunk_size': irods.CHUNK,
            'connection_timeout': 60, 'timeout': 60, **tls,
        }

    def close(self):
        """Remove what the tests have made."""
        self.server.session.collections.remove(
            self._folder, recurse=True, force=True
        )
        self.server.session.cleanup()


class RealServer:
    """What tests ask of a server; what it has not, skips the test."""

    def __init__(self):
        from irods import session

        self.host = _told('HOST')
        self.port = int(_told('PORT', '1247'))
        self.zone = _told('ZONE', 'tempZone')
        self.user = _told('USER')
        self.password = _told('PASSWORD')
        self.ca_file = _told('CA_FILE', '')
        self.home = f'/{self.zone}/home/{self.user}'
        tls = {'client_server_policy': 'CS_NEG_REFUSE'}
        if self.ca_file:
            tls = {
                'client_server_policy': 'CS_NEG_REQUIRE',
                'encryption_algorithm': 'AES-256-CBC',
                'encryption_key_size': 32, 'encryption_salt_size': 8,
                'encryption_num_hash_rounds': 16,
                'ssl_ca_certificate_file': self.ca_file,
                'ssl_verify_server': 'hostname',
            }
        self.session = session.iRODSSession(
            host=self.host, port=self.port, zone=self.zone, user=self.user,
            password=self.password,
            client_server_negotiation='request_server_negotiation', **tls,
        )

    def __getattr__(self, name):
        pytest.skip(f'a real zone has no {name} for tests: {_WHY}')

    def objects(self, collection=None):
        """Return the paths of all objects in a collection, in order."""
        if collection is None:
            pytest.skip('a real zone has objects of others')
        self.session.cleanup()
        found = self.session.collections.get(collection)
        return sorted(each.path for each in found.data_objects)

    def content(self, path):
        """Return the bytes of an object."""
        with self.session.data_objects.open(path, 'r') as file:
            return file.read()

    def put(self, path, data, user=None):
        """Make an object of the one user that there is."""
        content = bytes(data) if isinstance(data, int) else data
        with self.session.data_objects.open(path, 'w') as file:
            file.write(content)
        self.session.data_objects.chksum(path)

    def replicas(self, path):
        """Return a record of each replica of the object at ``path``."""
        from irods import models

        of = models.DataObject
        collection, _slash, name = path.rpartition('/')
        self.session.cleanup()
        return [
            inspection.ReplicaRecord(
                row[of.replica_number], row[of.resource_name], row[of.path],
                int(row[of.replica_status]), row[of.size],
                row[of.checksum] or '',
            ) for row in self.session.query(
                of.replica_number, of.resource_name, of.path,
                of.replica_status, of.size, of.checksum,
            ).filter(
                models.Collection.name == collection, of.name == name
            )
        ]

    def replica(self, path, number=0):
        """Return the record of one replica."""
        return next(
            each for each in self.replicas(path) if each.number == number
        )

    @property
    def set_replica(self):
        """Sets what the catalog says of a replica, for an administrator."""
        if not _told('ADMIN', ''):
            pytest.skip('only an administrator of a zone sets replicas')
        return self._set_replica

    def _set_replica(self, path, number=0, **changes):
        names = {
            'status': 'replStatus', 'size': 'dataSize', 'checksum': 'chksum',
            'modified': 'dataModify',
        }
        self.session.data_objects.modDataObjMeta(
            {'objPath': path, 'replNum': number},
            {names[name]: value for name, value in changes.items()},
        )

    @property
    def counters(self):
        """Nothing is counted; :attr:`bytes_read` skips the test."""
        return _NoCounters()


_WHY = 'only the test server of tests/irods_server has'


class _NoCounters:
    def reset(self):
        """There is nothing to begin anew."""


def _told(name, default=None):
    found = os.environ.get(f'{PREFIX}{name}', default)
    if found is None:
        pytest.fail(f'{PREFIX}{name} is not set; see tests/real_irods')
    return found
