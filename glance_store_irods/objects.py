# SPDX-License-Identifier: Apache-2.0

"""What can be done to a data object besides reading and writing it.

Each function needs a Lease and raises glance_store's exceptions.
"""

from glance_store import exceptions
from irods import keywords

from glance_store_irods import catalog
from glance_store_irods import wire


def look(lease, path):
    """Return the DataObject at ``path``, or None if the user sees none."""
    return lease.run(
        lambda session: catalog.find(session, path), 'find', path, again=True
    )


def find(lease, path):
    """Return the DataObject at ``path``; NotFound if there is none."""
    found = look(lease, path)
    if found is None:
        raise exceptions.NotFound(image=path)
    return found


def unlink(lease, path):
    """Remove an object for good, without the zone's trash."""
    lease.run(
        lambda session: session.data_objects.unlink(path, force=True),
        'delete', path,
    )


def rename(lease, source, target):
    """Give an object another path; Duplicate if that is taken."""
    lease.run(
        lambda session: wire.rename(session, source, target), 'move', target
    )


def checksum(lease, path, fresh=False, number=None):
    """Return the recorded checksum; compute it if there is none.

    :param fresh: compute it in any case
    :param number: of the replica; the zone chooses if None
    """
    options = {keywords.FORCE_CHKSUM_KW: ''} if fresh else {}
    if number is not None:
        options[keywords.REPL_NUM_KW] = str(number)
    return lease.run(
        lambda session: session.data_objects.chksum(path, **options),
        'checksum', path, seconds=lease.settings.long_timeout,
    )


def replicate(lease, path, resource):
    """Make a further replica on a resource."""
    lease.run(
        lambda session: session.data_objects.replicate(path, resource),
        'replicate', path, seconds=lease.settings.long_timeout,
    )
