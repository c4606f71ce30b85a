# SPDX-License-Identifier: Apache-2.0

"""AVUs of data objects, added one by one or all or nothing."""

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import packing
from tests.irods_server import replies


def modify(agent, request):
    """Add one AVU, which must be new."""
    operation, kind, path, name, value, units = (
        request.input.text(f'arg{number}') for number in range(6)
    )
    if (operation, kind) != ('add', '-d'):
        raise AssertionError(f'only AVUs of objects are added: {operation}')
    catalog, found = _object(agent, path)
    with catalog.lock:
        if _has(found.avus, name, value, units):
            raise codes.IrodsError(
                codes.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
            )
        found.avus.append(model.Avu(catalog.new_id(), name, value, units))


def apply_atomically(agent, request):
    """Add several AVUs, or none of them."""
    said = request.input.json()
    request.path = said['entity_name']
    operations = said['operations']
    if any(each['operation'] != 'add' for each in operations):
        raise AssertionError(f'AVUs are only added: {operations}')
    catalog, found = _object(agent, request.path)
    with catalog.lock:
        for each in operations:
            avu = each['attribute'], each['value'], each.get('units', '')
            if not _has(found.avus, *avu):
                found.avus.append(model.Avu(catalog.new_id(), *avu))
    return replies.Reply(message=packing.pack_json({}))


def _object(agent, path):
    """Return the catalog and the object, which the user may change."""
    catalog, user = agent.at(path)
    found = catalog.visible(user, path, codes.CAT_NO_ROWS_FOUND)
    access.require(user, found, access.MODIFY, codes.CAT_NO_ROWS_FOUND)
    return catalog, found


def _has(avus, *avu):
    return any((each.name, each.value, each.units) == avu for each in avus)
