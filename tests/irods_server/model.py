# SPDX-License-Identifier: Apache-2.0

"""What the catalog of a zone holds."""

import dataclasses
import pathlib
import time

STALE, GOOD, INTERMEDIATE, READ_LOCKED, WRITE_LOCKED = range(5)


def now():
    """Return the time as the catalog writes it, 11 digits."""
    return f'{int(time.time()):011d}'


@dataclasses.dataclass
class Avu:
    """An attribute, its value and its units."""

    id: int
    name: str
    value: str
    units: str = ''
    created: str = dataclasses.field(default_factory=now)
    modified: str = dataclasses.field(default_factory=now)


@dataclasses.dataclass
class User:
    """A user of this zone, or of a federated one."""

    id: int
    name: str
    zone: str
    type: str = 'rodsuser'
    passwords: list = dataclasses.field(default_factory=list)
    pam_password: str | None = None
    quota: int | None = None
    created: str = dataclasses.field(default_factory=now)

    @property
    def key(self):
        return self.name, self.zone

    @property
    def is_admin(self):
        return self.type == 'rodsadmin'


@dataclasses.dataclass
class Resource:
    """A place where replicas lie: a folder, that can be full or down."""

    id: int
    name: str
    zone: str
    vault: object
    up: bool = True
    avus: list = dataclasses.field(default_factory=list)
    created: str = dataclasses.field(default_factory=now)


@dataclasses.dataclass
class Entity:
    """What a collection and a data object have in common."""

    id: int
    owner: tuple
    permissions: dict = dataclasses.field(default_factory=dict)
    avus: list = dataclasses.field(default_factory=list)
    created: str = dataclasses.field(default_factory=now)
    modified: str = dataclasses.field(default_factory=now)


@dataclasses.dataclass
class Collection(Entity):
    """A collection, known by its path."""

    path: str = ''

    @property
    def parent(self):
        return parent_of(self.path)


@dataclasses.dataclass
class Replica:
    """One copy of a data object's bytes."""

    number: int
    resource: Resource
    path: pathlib.Path
    status: int = INTERMEDIATE
    size: int = 0
    checksum: str = ''
    created: str = dataclasses.field(default_factory=now)
    modified: str = dataclasses.field(default_factory=now)
    accessed: str = dataclasses.field(default_factory=now)

    @property
    def at_rest(self):
        """Tell that nobody is writing this replica or one beside it."""
        return self.status in (STALE, GOOD)


@dataclasses.dataclass
class DataObject(Entity):
    """A data object: a name in a collection, with its replicas."""

    collection: Collection | None = None
    name: str = ''
    replicas: list = dataclasses.field(default_factory=list)

    @property
    def path(self):
        return f'{self.collection.path}/{self.name}'

    @property
    def at_rest(self):
        return all(replica.at_rest for replica in self.replicas)


def parent_of(path):
    """Return the path of the collection that ``path`` lies in."""
    return path.rsplit('/', 1)[0] or '/'


def name_in(path):
    """Return the last part of ``path``."""
    return path.rsplit('/', 1)[1]


def zone_of(path):
    """Return the first part of ``path``, which names its zone."""
    return path.split('/')[1] if path.startswith('/') else ''
