# SPDX-License-Identifier: Apache-2.0

"""Open, create, read, write, seek and close, as a client streams."""

import dataclasses
import errno
import os

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import openings
from tests.irods_server import packing
from tests.irods_server import replies
from tests.irods_server import vault

# These are Linux's numbers, whatever system the client runs on.
O_ACCMODE, O_WRONLY, O_CREAT, O_EXCL, O_TRUNC = 3, 1, 64, 128, 512


@dataclasses.dataclass
class Descriptor:
    """An open replica, as a client sees it."""

    path: str
    replica: model.Replica
    file: int
    flags: int
    opening: openings.Opening | None = None
    offset: int = 0


def create(agent, request):
    """Open a data object for writing, whether it is there or not."""
    return _open(agent, request, O_WRONLY | O_CREAT | O_TRUNC)


def open_(agent, request):
    """Open a data object, and create it if the flags ask for that."""
    return _open(agent, request, request.input.number('openFlags'))


def _open(agent, request, flags):
    path = request.path
    if not path.startswith('/'):
        raise codes.IrodsError(codes.SYS_INVALID_FILE_PATH)
    if path.endswith('/'):
        raise codes.IrodsError(codes.USER_INPUT_PATH_ERR)
    if flags & O_ACCMODE:
        descriptor = open_to_write(
            agent, path, request.input.options(), flags,
            request.input.number('dataSize'),
        )
    else:
        descriptor = _open_to_read(agent, request)
    return replies.Reply(agent.add(descriptor))


def _open_to_read(agent, request):
    catalog, user = agent.at(request.path)
    with catalog.lock:
        found = catalog.visible(
            user, request.path, codes.OBJ_PATH_DOES_NOT_EXIST
        )
        replica = openings.for_reading(
            found, request.input.options(), agent.resources(catalog)
        )
        return Descriptor(
            found.path, replica, open_file(replica, os.O_RDONLY), 0
        )


def open_to_write(agent, path, options, flags, size):
    """Return the Descriptor of an object opened for writing.

    As in iRODS, another agent may create it after this one has looked.
    """
    catalog, user = agent.at(path)
    table = agent.resources(catalog)
    with catalog.lock:
        found = catalog.objects.get(path)
        if found is not None:
            return _open_existing(
                catalog, user, found, options, flags, size, table
            )
    if not flags & O_CREAT:
        raise codes.IrodsError(codes.OBJ_PATH_DOES_NOT_EXIST)
    agent.faults.check('register', 'before', path)
    with catalog.lock:
        if path in catalog.objects:
            raise codes.IrodsError(
                codes.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
            )
        return _create(catalog, user, path, options, flags, size, table)


def _open_existing(catalog, user, found, options, flags, size, table):
    access.require(
        user, found, access.MODIFY, codes.CAT_NO_ACCESS_PERMISSION
    )
    catalog.require_quota(user, size)
    replica = openings.for_writing(found, options, table)
    if flags & O_EXCL and flags & O_CREAT:
        raise codes.IrodsError(codes.UNIX_FILE_OPEN_ERR - errno.EEXIST)
    file = open_file(replica, os.O_RDWR)
    opening = openings.Opening(catalog, found, replica, options, False)
    if flags & O_TRUNC:
        replica.resource.vault.truncate(file, 0)
        opening.wrote = True
    return Descriptor(found.path, replica, file, flags, opening)


def _create(catalog, user, path, options, flags, size, table):
    collection = catalog.collection(model.parent_of(path))
    if path in catalog.collections:
        raise codes.IrodsError(codes.CAT_NAME_EXISTS_AS_COLLECTION)
    access.require(
        user, collection, access.MODIFY, codes.CAT_NO_ACCESS_PERMISSION
    )
    resource = table.to_create(openings.resource_name(options))
    catalog.require_quota(user, size)
    found = catalog.add_object(user.key, path)
    replica = catalog.add_replica(found, resource)
    opening = openings.Opening(catalog, found, replica, options, True)
    file = os.open(replica.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    return Descriptor(path, replica, file, flags, opening)


def open_file(replica, flags):
    """Return the physical file of ``replica``, opened."""
    try:
        return os.open(replica.path, flags)
    except OSError as error:
        raise codes.of_errno(codes.UNIX_FILE_OPEN_ERR, error) from error


def read(agent, request):
    """Answer with the next bytes, as many as there are."""
    descriptor = agent.descriptor(request)
    offset = descriptor.offset
    left = os.fstat(descriptor.file).st_size - offset
    count = max(min(request.input.number('len'), left), 0)
    descriptor.offset += count
    return replies.Reply(
        count, body=replies.FileSlice(descriptor.file, offset, count)
    )


def write(agent, request):
    """Write the raw bytes of the request at the place it has come to."""
    descriptor = agent.descriptor(request)
    opening = descriptor.opening
    if opening is None:
        raise codes.IrodsError(codes.UNIX_FILE_WRITE_ERR - errno.EBADF)
    opening.wrote = True
    total = request.left
    while request.left:
        count = agent.faults.take(
            'write', min(request.left, len(agent.buffer)), descriptor.path
        )
        view = agent.buffer[:count]
        request.receive_into(view)
        agent.server.counters.passed('write', count)
        try:
            descriptor.replica.resource.vault.write(
                descriptor.file, view, descriptor.offset
            )
        except vault.Full as error:
            raise codes.of_errno(
                codes.UNIX_FILE_WRITE_ERR, error
            ) from error
        descriptor.offset += count
    return replies.Reply(total)


def lseek(agent, request):
    """Go to another place in an open file."""
    descriptor = agent.descriptor(request)
    end = os.fstat(descriptor.file).st_size
    base = {0: 0, 1: descriptor.offset, 2: end}[
        request.input.number('whence')
    ]
    descriptor.offset = min(base + request.input.number('offset'), end)
    return replies.Reply(message=packing.pack('fileLseekOut_PI', [
        ('offset', descriptor.offset),
    ]))


def close(agent, request):
    """Close an open file; one that was being written becomes good."""
    descriptor = agent.descriptor(request)
    forget(agent, request.input.number('l1descInx'))
    if descriptor.opening:
        descriptor.opening.finish(
            agent.passed('close', descriptor.path)
        )


def forget(agent, number):
    """Close the physical file, and free the number."""
    os.close(agent.descriptors.pop(number).file)
