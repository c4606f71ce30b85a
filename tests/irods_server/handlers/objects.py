# SPDX-License-Identifier: Apache-2.0

"""Unlink and rename."""

import os

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import openings

UNREGISTER = '26'


def unlink(agent, request):
    """Remove a data object, or put it into the trash."""
    catalog, user = agent.at(request.path)
    options = request.input.options()
    with catalog.lock:
        found = catalog.visible(user, request.path, codes.CAT_NO_ROWS_FOUND)
        access.require(user, found, access.DELETE, codes.CAT_NO_ROWS_FOUND)
        if not found.at_rest:
            raise codes.IrodsError(
                codes.LOCKED_DATA_OBJECT_ACCESS if 'forceFlag' in options
                else codes.HIERARCHY_ERROR
            )
        table = agent.resources(catalog)
        if request.input.text('oprType') == UNREGISTER:
            del catalog.objects[found.path]
        elif 'forceFlag' in options:
            remove(catalog, found, table)
        else:
            openings.for_reading(found, {}, table)
            _trash(catalog, user, found)


def remove(catalog, found, table):
    """Remove ``found`` for good, and its files where that is possible.

    The catalog forgets it even where a file stays behind as an orphan;
    the first such failure is raised.
    """
    del catalog.objects[found.path]
    failure = None
    for replica in found.replicas:
        try:
            remove_file(replica, table)
        except codes.IrodsError as error:
            failure = failure or error
    if failure:
        raise failure


def remove_file(replica, table):
    """Delete the file of ``replica``, which may be gone already."""
    if not table.is_up(replica.resource):
        raise codes.IrodsError(codes.SYS_RESC_IS_DOWN)
    try:
        replica.resource.vault.forget(replica.path)
    except FileNotFoundError:
        pass  # A replica without a file can be unlinked in iRODS as well.
    except OSError as error:
        raise codes.of_errno(codes.UNIX_FILE_UNLINK_ERR, error) from error


def _trash(catalog, user, found):
    place = found.path.split('/')[2:]
    home = user.name
    if user.zone != catalog.zone:
        home = f'{user.name}#{user.zone}'
    rest = '/'.join(place[2:] if place[0] == 'home' else place)
    target = f'/{catalog.zone}/trash/home/{home}/{rest}'
    catalog.make_collections(user.key, model.parent_of(target))
    while target in catalog.objects:
        target += f'.{catalog.new_id()}'
    move(catalog, found, target)


def rename(agent, request):
    """Give a data object another path."""
    source, target = (
        each.text('objPath') for each in request.input.all('DataObjInp_PI')
    )
    catalog, user = agent.at(source)
    if catalog is not agent.catalog.of(target):
        raise codes.IrodsError(codes.SYS_CROSS_ZONE_MV_NOT_SUPPORTED)
    with catalog.lock:
        found = catalog.visible(user, source, codes.CAT_NO_ROWS_FOUND)
        access.require(user, found, access.DELETE, codes.CAT_NO_ROWS_FOUND)
        _require_free(catalog, user, target)
        move(catalog, found, target)


def _require_free(catalog, user, target):
    """Refuse a ``target`` that is taken, or where ``user`` may not write."""
    if target in catalog.objects:
        raise codes.IrodsError(codes.CAT_NAME_EXISTS_AS_DATAOBJ)
    if target in catalog.collections:
        raise codes.IrodsError(codes.CAT_NAME_EXISTS_AS_COLLECTION)
    access.require(
        user, catalog.collection(model.parent_of(target)), access.MODIFY,
        codes.CAT_NO_ACCESS_PERMISSION,
    )


def move(catalog, found, target):
    """Give ``found`` the path ``target``, and its files such names."""
    for replica in found.replicas:
        if replica.resource.up and replica.path.exists():
            path = replica.resource.vault.path_for(target)
            os.rename(replica.path, path)
            replica.path = path
    del catalog.objects[found.path]
    found.collection = catalog.collections[model.parent_of(target)]
    found.name = model.name_in(target)
    catalog.objects[target] = found
