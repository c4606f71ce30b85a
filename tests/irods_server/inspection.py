# SPDX-License-Identifier: Apache-2.0

"""What a test looks at, and changes, without being a client."""

import contextlib
import dataclasses
import os

from tests.irods_server import access
from tests.irods_server import model
from tests.irods_server import openings


@dataclasses.dataclass(frozen=True)
class ReplicaRecord:
    """What the catalog said of a replica at one moment."""

    number: int
    resource: str
    path: str
    status: int
    size: int
    checksum: str


class Inspection:
    """The part of a server that looks into its catalog and its vaults."""

    def objects(self, collection=None):
        """Return the paths of all data objects below ``collection``."""
        with self.catalog.lock:
            return sorted(self.catalog.under(collection or '')[1])

    def replicas(self, path):
        """Return a record of each replica of the object at ``path``."""
        with self.catalog.lock:
            return [
                ReplicaRecord(
                    each.number, each.resource.name, str(each.path),
                    each.status, each.size, each.checksum,
                ) for each in self.catalog.objects[path].replicas
            ]

    def replica(self, path, number=0):
        """Return the record of one replica."""
        return next(
            each for each in self.replicas(path) if each.number == number
        )

    def content(self, path, number=0):
        """Return the bytes that a replica really has."""
        with open(self.replica(path, number).path, 'rb') as file:
            return file.read()

    def put(self, path, data, user=None, resource=None):
        """Make a data object, without a client; return its record.

        ``data`` is bytes, or a number of bytes for a file that is one
        hole.
        """
        name, zone = user or self.admin, self.zone
        with self.catalog.lock:
            self.catalog.make_collections((name, zone), model.parent_of(path))
            found = self.catalog.add_object((name, zone), path)
            replica = self.catalog.add_replica(
                found, self.catalog.resource(resource)
            )
            opening = openings.Opening(self.catalog, found, replica, {}, True)
        with open(replica.path, 'xb') as file:
            vault = replica.resource.vault
            if isinstance(data, int):
                vault.grow(file.fileno(), data)
            else:
                vault.write(file.fileno(), memoryview(data), 0)
        opening.finish(lambda count: None)
        return self.replica(path)

    def set_replica(self, path, number=0, **changes):
        """Set what the catalog says of a replica: status, size, checksum."""
        with self._changing(path, number) as replica:
            for name, value in changes.items():
                if not hasattr(replica, name):
                    raise AttributeError(name)
                setattr(replica, name, value)

    def corrupt(self, path, offset=0, number=0):
        """Turn one bit over on the disk, behind the catalog's back."""
        with open(self.replica(path, number).path, 'r+b') as file:
            byte = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), offset)

    def lose(self, path, number=0):
        """Delete the physical file, behind the catalog's back."""
        os.unlink(self.replica(path, number).path)

    def permit(self, path, user, level, zone=None):
        """Set what a user may do: 'own', 'modify', 'read' or 'none'."""
        key = user, zone or self.zone
        if user == access.EVERYBODY[0]:
            key = access.EVERYBODY
        with self.catalog.lock:
            access.grant(self._entity(path), key, access.LEVELS[level])

    @contextlib.contextmanager
    def _changing(self, path, number):
        with self.catalog.lock:
            yield next(
                each for each in self.catalog.objects[path].replicas
                if each.number == number
            )

    def _entity(self, path):
        found = self.catalog.objects.get(path)
        return found or self.catalog.collections[path]
