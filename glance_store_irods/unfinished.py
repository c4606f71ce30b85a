# SPDX-License-Identifier: Apache-2.0

"""Objects that were not finished: which of them nobody writes any more."""

import dataclasses
import datetime

from glance_store_irods import catalog
from glance_store_irods import location

# The zone may close, checksum and replicate an object, one after the other.
_LONG_OPERATIONS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unfinished:
    """An object whose name says that it is not finished.

    :param is_stale: its writer is gone, as far as can be known
    :param is_old: nothing has changed for longer than any operation takes
    :param advice: what only an administrator of the zone can do; or empty
    """

    path: str
    is_stale: bool
    is_old: bool
    advice: str


def find(lease):
    """Return an :class:`Unfinished` for each such object of the store."""
    settings = lease.settings
    long = datetime.timedelta(seconds=settings.long_timeout)
    oldest = datetime.datetime.now(datetime.UTC) - _LONG_OPERATIONS * long
    return [
        Unfinished(
            path=found.path, is_stale=_is_stale(found, oldest),
            is_old=found.modified < oldest, advice=advice(found),
        ) for found in catalog.list_ending(
            lease, settings.collection, location.PARTIAL
        )
    ]


def _is_stale(found, oldest):
    # What is good may be a whole image, maybe the last data of it.
    if found.good:
        return False
    # The server sees that a client is gone, and calls what it wrote outdated.
    return not found.is_locked or found.modified < oldest


def advice(found):
    """Say how an object is unlocked that is being written, or seems so."""
    if not found.is_locked:
        return ''
    resets = ' && '.join(
        f'iadmin modrepl logical_path {found.path} replica_number '
        f'{replica.number} DATA_REPL_STATUS 0'
        for replica in found.replicas if replica.is_locked
    )
    return (
        f'it is being written, or its writer died: then an administrator of '
        f'the zone has to run: {resets}'
    )
