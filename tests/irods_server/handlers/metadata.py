# SPDX-License-Identifier: Apache-2.0

"""AVUs, one by one or all or nothing."""

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import packing
from tests.irods_server import replies

KINDS = {
    '-d': 'data_object', '-C': 'collection', '-c': 'collection',
    '-R': 'resource', '-r': 'resource',
}


def modify(agent, request):
    """Add, set or remove one AVU."""
    operation, kind, path, name, value, units = (
        request.input.text(f'arg{number}') for number in range(6)
    )
    catalog, found = _entity(agent, KINDS.get(kind), path)
    with catalog.lock:
        found.avus = _changed(
            catalog, found.avus, operation, name, value, units
        )


def apply_atomically(agent, request):
    """Do several such operations, or none of them."""
    said = request.input.json()
    request.path = said['entity_name']
    catalog, found = _entity(agent, said['entity_type'], request.path)
    with catalog.lock:
        avus = found.avus
        for each in said['operations']:
            avus = _changed(
                catalog, avus, each['operation'], each['attribute'],
                each['value'], each.get('units', ''), again=True,
            )
        found.avus = avus
    return replies.Reply(message=packing.pack_json({}))


def _entity(agent, kind, path):
    """Return the catalog and what is meant, which the user may change."""
    catalog, user = agent.at(path)
    if kind == 'resource':
        if not user.is_admin:
            raise codes.IrodsError(codes.CAT_INSUFFICIENT_PRIVILEGE_LEVEL)
        return catalog, catalog.resource(path)
    if kind == 'data_object':
        found, unknown = catalog.objects.get(path), codes.CAT_NO_ROWS_FOUND
    elif kind == 'collection':
        found = catalog.collections.get(path)
        unknown = codes.CAT_UNKNOWN_COLLECTION
    else:
        raise codes.IrodsError(codes.CAT_INVALID_ARGUMENT)
    if found is None:
        raise codes.IrodsError(unknown)
    access.require(user, found, access.MODIFY, unknown)
    return catalog, found


def _changed(catalog, avus, operation, name, value, units, again=False):
    """Return ``avus`` after the operation on (name, value, units)."""
    same = [
        avu for avu in avus
        if (avu.name, avu.value, avu.units) == (name, value, units)
    ]
    if operation == 'add' and same:
        if again:
            return avus
        raise codes.IrodsError(codes.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    if operation in ('rm', 'remove'):
        if not same and not again:
            raise codes.IrodsError(codes.CAT_NO_ROWS_FOUND)
        return [avu for avu in avus if avu not in same]
    if operation == 'set':
        avus = [avu for avu in avus if avu.name != name]
    elif operation != 'add':
        raise codes.IrodsError(codes.CAT_INVALID_ARGUMENT)
    return [*avus, model.Avu(catalog.new_id(), name, value, units)]
