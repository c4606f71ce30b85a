# SPDX-License-Identifier: Apache-2.0

"""Replicate, and what an administrator may set by hand."""

import os

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import openings
from tests.irods_server import rules
from tests.irods_server import vault
from tests.irods_server.handlers import checksums
from tests.irods_server.handlers import files


def replicate(agent, request):
    """Copy a good replica to another resource, or renew a stale one."""
    options = request.input.options()
    catalog, user = agent.at(request.path)
    passed = agent.passed('replicate', request.path)
    with catalog.lock:
        found = catalog.visible(user, request.path, codes.CAT_NO_ROWS_FOUND)
        if not access.may(user, found, access.MODIFY):
            raise codes.IrodsError(codes.REPLICATION_DENIED)
        table = agent.resources(catalog)
        resource = table.named(options['destRescName'])
        if not found.at_rest or not table.is_up(resource):
            raise codes.IrodsError(codes.HIERARCHY_ERROR)
        source = openings.for_reading(found, {}, table)
        catalog.require_quota(user, source.size)
        target = _target(catalog, found, resource)
        opening = openings.Opening(
            catalog, found, target, {}, created=True
        )
    try:
        checksum = _fill(catalog, source, target, passed)
    except rules.Killed:
        raise
    except BaseException:
        opening.abandon()
        raise
    opening.settle(source.size, checksum)


def _target(catalog, found, resource):
    """Return the replica to write, a new one or one that is stale."""
    for replica in found.replicas:
        if replica.resource is resource:
            if replica.status == model.GOOD:
                raise codes.IrodsError(codes.SYS_NOT_ALLOWED)
            return replica
    return catalog.add_replica(found, resource)


def _fill(catalog, source, target, passed):
    """Copy the bytes, and return the checksum to keep with them."""
    reading = files.open_file(source, os.O_RDONLY)
    try:
        writing = files.open_file(target, os.O_RDWR | os.O_CREAT)
        try:
            target.resource.vault.truncate(writing, 0)
            target.resource.vault.copy(reading, writing, passed)
        finally:
            os.close(writing)
    except vault.Full as error:
        raise codes.IrodsError(codes.SYS_COPY_LEN_ERR) from error
    finally:
        os.close(reading)
    if not source.checksum:
        return ''
    found = checksums.compute(catalog, target, passed)
    if not vault.same(found, source.checksum):
        raise codes.IrodsError(codes.USER_CHKSUM_MISMATCH)
    return source.checksum


def modify(agent, request):
    """Let an administrator set a replica's status, size or checksum."""
    info = request.input.all('DataObjInfo_PI')[0]
    path = request.path = info.text('objPath')
    options = request.input.options()
    catalog, user = agent.at(path)
    if not user.is_admin:
        raise codes.IrodsError(codes.SYS_NO_API_PRIV)
    with catalog.lock:
        found = catalog.objects.get(path)
        if found is None:
            raise codes.IrodsError(codes.CAT_NO_ROWS_FOUND)
        for replica in found.replicas:
            if 'all' in options or replica.number == info.number('replNum'):
                replica.status = int(options.get(
                    'replStatus', replica.status
                ))
                replica.size = int(options.get('dataSize', replica.size))
                replica.checksum = options.get('chksum', replica.checksum)
