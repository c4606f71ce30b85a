# SPDX-License-Identifier: Apache-2.0

"""Make and remove collections."""

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import packing
from tests.irods_server import replies
from tests.irods_server.handlers import objects


def make(agent, request):
    """Make a collection, with those above it where that is asked for."""
    path = request.path
    catalog, user = agent.at(path)
    recursive = 'recursiveOpr' in request.input.options()
    with catalog.lock:
        if path in catalog.collections:
            if recursive:
                return
            raise codes.IrodsError(
                codes.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
            )
        if path in catalog.objects:
            raise codes.IrodsError(codes.CAT_NAME_EXISTS_AS_DATAOBJ)
        above = model.parent_of(path)
        while recursive and above not in catalog.collections:
            above = model.parent_of(above)
            if above == '/':
                break
        access.require(
            user, catalog.collection(above), access.MODIFY,
            codes.CAT_NO_ACCESS_PERMISSION,
        )
        catalog.make_collections(user.key, path)


def remove(agent, request):
    """Remove a collection, and what is in it where that is asked for."""
    path = request.path
    catalog, user = agent.at(path)
    recursive = 'recursiveOpr' in request.input.options()
    with catalog.lock:
        if path not in catalog.collections:
            raise codes.IrodsError(codes.CAT_NO_ROWS_FOUND)
        access.require(
            user, catalog.collections[path], access.OWN,
            codes.CAT_NO_ROWS_FOUND,
        )
        inner, paths = catalog.under(path)
        if (inner or paths) and not recursive:
            raise codes.IrodsError(codes.CAT_COLLECTION_NOT_EMPTY)
        table = agent.resources(catalog)
        for each in paths:
            objects.remove(catalog, catalog.objects[each], table)
        for each in [*inner, path]:
            del catalog.collections[each]
    return replies.Reply(message=packing.pack('CollOprStat_PI', [
        ('filesCnt', len(paths)), ('totalFileCnt', 0), ('bytesWritten', 0),
        ('lastObjPath', ''),
    ]))
