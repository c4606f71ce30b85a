# SPDX-License-Identifier: Apache-2.0

"""Copy of a data object from one path to another, on the server."""

import os

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import openings
from tests.irods_server import packing
from tests.irods_server import replies
from tests.irods_server import rules
from tests.irods_server import vault
from tests.irods_server.handlers import files

WRITE = files.O_WRONLY | files.O_CREAT | files.O_TRUNC


def copy(agent, request):
    """Copy a data object, in one zone or between two."""
    source, target = request.input.all('DataObjInp_PI')
    here, there = source.text('objPath'), target.text('objPath')
    options = target.options()
    replica, reading = _open_source(agent, here, there)
    try:
        writing = _open_target(agent, there, options, replica.size)
        _transfer(agent, there, reading, writing)
        writing.opening.finish(
            agent.passed('copy', there), replica.checksum
        )
    finally:
        os.close(reading)
    return replies.Reply(message=packing.pack('TransferStat_PI', [
        ('numThreads', 0), ('flags', 0),
        ('bytesWritten', writing.replica.size),
    ]))


def _open_source(agent, here, there):
    """Return the replica to copy, and its file opened."""
    if here == there:
        raise codes.IrodsError(codes.OVERWRITE_WITHOUT_FORCE_FLAG)
    catalog, user = agent.at(here)
    with catalog.lock:
        found = catalog.visible(user, here, codes.USER_INPUT_PATH_ERR)
        replica = openings.for_reading(
            found, {}, agent.resources(catalog)
        )
        return replica, files.open_file(replica, os.O_RDONLY)


def _open_target(agent, there, options, size):
    """Return the Descriptor of the copy, which must be new or forced."""
    catalog, user = agent.at(there)
    with catalog.lock:
        if there in catalog.objects:
            if 'forceFlag' not in options:
                raise codes.IrodsError(codes.OVERWRITE_WITHOUT_FORCE_FLAG)
        else:
            _make_parents(catalog, user, model.parent_of(there))
    return files.open_to_write(agent, there, options, WRITE, size)


def _make_parents(catalog, user, path):
    """Make the collections that a copy's path needs."""
    above = path
    while above not in catalog.collections:
        above = model.parent_of(above)
        if above == '/':
            raise codes.IrodsError(codes.CAT_UNKNOWN_COLLECTION)
    if above != path:
        if not access.may(user, catalog.collections[above], access.MODIFY):
            raise codes.IrodsError(codes.CAT_UNKNOWN_COLLECTION)
        catalog.make_collections(user.key, path)


def _transfer(agent, path, reading, writing):
    """Copy the bytes; a copy that fails leaves a stale replica."""
    opening = writing.opening
    opening.wrote = True
    try:
        writing.replica.resource.vault.copy(
            reading, writing.file, agent.passed('copy', path)
        )
    except vault.Full as error:
        opening.abandon()
        raise codes.of_errno(codes.UNIX_FILE_WRITE_ERR, error) from error
    except rules.Killed:
        raise
    except BaseException:
        opening.abandon()
        raise
    finally:
        os.close(writing.file)
