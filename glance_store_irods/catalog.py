# SPDX-License-Identifier: Apache-2.0

"""Questions to the catalog of a zone about data objects.

Each function needs a session and sends one query, or more for a long list.
"""

import dataclasses

from glance_store import exceptions
from irods import keywords
from irods import models

GOOD = '1'
STALE, BEING_WRITTEN = '0', '2'
_MEANINGS = {
    STALE: 'incomplete or outdated', BEING_WRITTEN: 'being written',
    '3': 'locked', '4': 'locked',
}


@dataclasses.dataclass(frozen=True)
class Replica:
    """One copy of the bytes of a data object.

    :param hierarchy: the resources it lies in, from the outermost inwards
    :param location: path in the innermost one
    """

    number: int
    status: str
    size: int
    checksum: str
    hierarchy: str
    location: str

    @property
    def is_good(self):
        return self.status == GOOD

    def lies_in(self, resource):
        """Tell whether it lies in a resource, or in one that this holds."""
        return self.hierarchy.split(';')[0] == resource


@dataclasses.dataclass(frozen=True)
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
    def largest(self):
        """The size of the largest replica, complete or not."""
        return max(replica.size for replica in self.replicas)

    @property
    def size(self):
        """The size of the image.

        :raises: RemoteServiceUnavailable if no replica is complete
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


def find(session, path):
    """Return the DataObject at ``path``, or None if there is none."""
    collection, _slash, name = path.rpartition('/')
    rows = list(_query(
        session, path,
        models.DataObject.id, models.DataObject.replica_number,
        models.DataObject.replica_status, models.DataObject.size,
        models.DataObject.checksum, models.DataObject.resc_hier,
        models.DataObject.path,
    ).filter(
        models.Collection.name == collection, models.DataObject.name == name,
    ))
    if not rows:
        return None
    return DataObject(
        id=rows[0][models.DataObject.id], path=path,
        replicas=tuple(sorted(map(_replica, rows), key=_number)),
    )


def names(session, collection):
    """Return the names of the data objects in a collection, in order."""
    rows = _query(session, collection, models.DataObject.name).filter(
        models.Collection.name == collection
    )
    return sorted({row[models.DataObject.name] for row in rows})


def has_collection(session, path):
    """Tell whether the user sees a collection."""
    return bool(list(_query(session, path, models.Collection.id).filter(
        models.Collection.name == path
    )))


def has_resource(session, path, name):
    """Tell whether there is a resource in the zone that ``path`` is in."""
    return bool(list(_query(session, path, models.Resource.id).filter(
        models.Resource.name == name
    )))


def _query(session, path, *columns):
    # The zone of the path, which may be another one than the user's.
    return session.query(*columns).add_keyword(
        keywords.ZONE_KW, path.split('/')[1]
    )


def _replica(row):
    return Replica(
        number=row[models.DataObject.replica_number],
        status=str(row[models.DataObject.replica_status]),
        size=row[models.DataObject.size],
        checksum=row[models.DataObject.checksum] or '',
        hierarchy=row[models.DataObject.resc_hier] or '',
        location=row[models.DataObject.path] or '',
    )


def _number(replica):
    return replica.number
