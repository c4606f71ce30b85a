# SPDX-License-Identifier: Apache-2.0

"""What the catalog of a zone tells about data objects and their replicas.

Each question needs a Lease and raises glance_store's exceptions.
"""

import collections
import dataclasses
import datetime

from glance_store import exceptions
from irods import column as criterion
from irods import keywords
from irods import models

from glance_store_irods import errors

OUTDATED, GOOD, BEING_WRITTEN = '0', '1', '2'
_MEANINGS = {
    OUTDATED: 'incomplete or outdated', BEING_WRITTEN: 'being written',
    '3': 'locked', '4': 'locked',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replica:
    """One copy of the bytes of a data object.

    :param hierarchy: the resources it lies in, from the outermost inwards
    :param location: path in the innermost one
    :param modified: when it was last changed, by the clock of the catalog
    """

    number: int
    status: str
    size: int
    hierarchy: str
    location: str
    modified: datetime.datetime

    @property
    def is_good(self):
        """Whether it is complete and up to date."""
        return self.status == GOOD

    @property
    def is_locked(self):
        """Whether it is being written, or its writer died."""
        return self.status not in (OUTDATED, GOOD)

    @property
    def resource(self):
        """The innermost resource, which has the file."""
        return self.hierarchy.split(';')[-1]

    def lies_in(self, resource):
        """Tell whether it lies in a resource, or in one that this holds."""
        return self.hierarchy.split(';')[0] == resource


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataObject:
    """A data object with its replicas, at least one."""

    id: int
    path: str
    replicas: tuple

    @property
    def good(self):
        """The complete replicas."""
        return tuple(each for each in self.replicas if each.is_good)

    @property
    def is_being_written(self):
        """Whether there is no complete replica, and one may become so."""
        return not self.good and any(
            replica.status == BEING_WRITTEN for replica in self.replicas
        )

    @property
    def is_locked(self):
        """Whether a replica is being written, or its writer died."""
        return any(replica.is_locked for replica in self.replicas)

    @property
    def modified(self):
        """When it was last changed, by the clock of the catalog."""
        return max(replica.modified for replica in self.replicas)

    @property
    def largest(self):
        """The size of the largest replica, complete or not."""
        return max(replica.size for replica in self.replicas)

    @property
    def size(self):
        """The size of the image.

        :raises: RemoteServiceUnavailable if no replica is complete,
            BackendException if complete ones differ in size
        """
        sizes = {replica.size for replica in self.good}
        if len(sizes) == 1:
            return sizes.pop()
        if sizes:
            raise exceptions.BackendException(
                f'The good replicas of {self.path} in iRODS differ in size: '
                f'{", ".join(map(str, sorted(sizes)))}.'
            )
        states = sorted({
            _MEANINGS.get(replica.status, f'of status {replica.status}')
            for replica in self.replicas
        })
        raise errors.Unavailable(
            message=f'{self.path} in iRODS has no good replica; what there '
                    f'is, is {" or ".join(states)}.'
        )


def look(lease, path):
    """Return the DataObject at ``path``, or None if the user sees none."""
    collection, _slash, name = path.rpartition('/')
    found = _objects(lease, collection, models.DataObject.name == name, path)
    return found[0] if found else None


def find(lease, path):
    """Return the DataObject at ``path``; NotFound if there is none."""
    found = look(lease, path)
    if found is None:
        raise exceptions.NotFound(image=path)
    return found


def list_ending(lease, collection, ending):
    """Return the DataObjects of a collection whose names end like that."""
    name = models.DataObject.name
    return _objects(
        lease, collection, criterion.Like(name, f'%{ending}'), collection
    )


def _objects(lease, collection, condition, path):
    of = models.DataObject
    rows = _query(
        lease, 'find', path, (
            of.id, of.name, of.replica_number, of.replica_status, of.size,
            of.resc_hier, of.path, of.modify_time,
        ),
        models.Collection.name == collection, condition, again=True,
    )
    replicas = collections.defaultdict(list)
    for row in sorted(rows, key=lambda row: row[of.replica_number]):
        replicas[row[of.id], row[of.name]].append(Replica(
            number=row[of.replica_number], status=str(row[of.replica_status]),
            size=row[of.size], modified=row[of.modify_time],
            hierarchy=row[of.resc_hier] or '', location=row[of.path] or '',
        ))
    return [
        DataObject(
            id=number, path=f'{collection}/{name}', replicas=tuple(found)
        ) for (number, name), found in replicas.items()
    ]


def list_names(lease, collection):
    """Return the names of the data objects in a collection, in order."""
    name = models.DataObject.name
    return sorted({row[name] for row in _query(
        lease, 'list', collection, (name,),
        models.Collection.name == collection, again=True,
    )})


def has_collection(lease, path):
    """Tell whether the user sees a collection."""
    return bool(_query(
        lease, 'find', path, (models.Collection.id,),
        models.Collection.name == path,
    ))


def has_resource(lease, path, name):
    """Tell whether there is a resource in the zone that ``path`` is in."""
    return bool(_query(
        lease, 'find', path, (models.Resource.id,),
        models.Resource.name == name,
    ))


def down_among(lease, path, resources):
    """Return those of the resources that the zone calls down."""
    of = models.Resource
    return {row[of.name] for row in _query(
        lease, 'find', path, (of.name,), criterion.In(of.name, resources),
        of.status == 'down', again=True,
    )}


def _query(lease, action, path, columns, *conditions, again=False):
    """Return rows of the catalog of the zone that ``path`` is in.

    That may be another one than the user's.
    """
    zone = path.split('/')[1]
    return lease.run(
        lambda session: list(session.query(*columns).add_keyword(
            keywords.ZONE_KW, zone
        ).filter(*conditions)),
        action, path, again=again,
    )
