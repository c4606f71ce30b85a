# SPDX-License-Identifier: Apache-2.0

"""What the catalog of a zone tells about data objects and their replicas.

Each question needs a Lease and raises glance_store's exceptions.
"""

import dataclasses

from glance_store import exceptions
from irods import keywords
from irods import models

GOOD, BEING_WRITTEN = '1', '2'
_MEANINGS = {
    '0': 'incomplete or outdated', BEING_WRITTEN: 'being written',
    '3': 'locked', '4': 'locked',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replica:
    """One copy of the bytes of a data object.

    :param hierarchy: the resources it lies in, from the outermost inwards
    :param location: path in the innermost one
    """

    number: int
    status: str
    size: int
    hierarchy: str
    location: str

    @property
    def is_good(self):
        """Whether it is complete and up to date."""
        return self.status == GOOD

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
        raise exceptions.RemoteServiceUnavailable(
            message=f'{self.path} in iRODS has no good replica; what there '
                    f'is, is {" or ".join(states)}.'
        )


def look(lease, path):
    """Return the DataObject at ``path``, or None if the user sees none."""
    collection, _slash, name = path.rpartition('/')
    of = models.DataObject
    rows = _query(
        lease, 'find', path, (
            of.id, of.replica_number, of.replica_status, of.size,
            of.resc_hier, of.path,
        ),
        models.Collection.name == collection, of.name == name, again=True,
    )
    if not rows:
        return None
    return DataObject(id=rows[0][of.id], path=path, replicas=tuple(
        Replica(
            number=row[of.replica_number], status=str(row[of.replica_status]),
            size=row[of.size],
            hierarchy=row[of.resc_hier] or '', location=row[of.path] or '',
        ) for row in sorted(rows, key=lambda row: row[of.replica_number])
    ))


def find(lease, path):
    """Return the DataObject at ``path``; NotFound if there is none."""
    found = look(lease, path)
    if found is None:
        raise exceptions.NotFound(image=path)
    return found


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
