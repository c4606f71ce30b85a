# SPDX-License-Identifier: Apache-2.0

"""A query, and how the catalog answers it."""

import dataclasses

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import columns
from tests.irods_server import conditions

ORDER_BY, ORDER_BY_DESC = 0x400, 0x800
UPPER_CASE_WHERE, NO_DISTINCT = 0x200, 0x40


@dataclasses.dataclass
class Row:
    """What is joined into one row, before columns are picked."""

    entity: object = None
    collection: object = None
    replica: object = None
    resource: object = None
    avu: object = None


@dataclasses.dataclass
class Question:
    """The columns asked for with their options, and the conditions."""

    selects: list
    conditions: list
    options: int = 0

    def zone_hint(self):
        """Return the zone of a path in the conditions, or ''."""
        for column, text in self.conditions:
            if column in (501, 502) and "'/" in text:
                return text.split("'/", 1)[1].strip("'%").split('/')[0]
        return ''

    def answer(self, catalog, user):
        """Return the rows, each a tuple of texts."""
        used = {column for column, _ in self.selects + self.conditions}
        if used - set(columns.ALL):
            raise codes.IrodsError(codes.CAT_INVALID_ARGUMENT)
        rows = [
            row for row in self._joined(catalog, user, used)
            if all(
                self._holds(columns.ALL[column](row), text)
                for column, text in self.conditions
            )
        ]
        picked = [
            tuple(str(columns.ALL[column](row)) for column, _ in self.selects)
            for row in rows
        ]
        return self._sorted(picked)

    def _holds(self, value, text):
        value = str(value)
        if self.options & UPPER_CASE_WHERE:
            value = value.upper()
        return conditions.matches(text, value)

    def _sorted(self, rows):
        """Sort as DISTINCT happens to, then as the query asks."""
        if not self.options & NO_DISTINCT:
            rows = sorted(
                set(rows), key=lambda row: [*map(conditions.order, row)]
            )
        for position, (_, option) in reversed([*enumerate(self.selects)]):
            if option & (ORDER_BY | ORDER_BY_DESC):
                rows.sort(
                    key=lambda row, at=position: conditions.order(row[at]),
                    reverse=bool(option & ORDER_BY_DESC),
                )
        return rows

    def _joined(self, catalog, user, used):
        """Yield the rows of all tables that the columns belong to."""
        if used & {*columns.DATA, *columns.DATA_AVU}:
            rows = _of_data(catalog, user)
        elif used & set(columns.COLLECTION):
            rows = _of_collections(catalog, user)
        else:
            rows = [
                Row(entity=each, resource=each)
                for each in catalog.resources.values()
            ]
        if used & set(columns.DATA_AVU):
            rows = _with_avus(rows)
        return rows


def _of_data(catalog, user):
    for found in catalog.objects.values():
        if not all(
            access.may_see(user, each) for each in (found, found.collection)
        ):
            continue
        for replica in found.replicas:
            yield Row(
                entity=found, collection=found.collection, replica=replica,
                resource=replica.resource,
            )


def _of_collections(catalog, user):
    for found in catalog.collections.values():
        if access.may_see(user, found):
            yield Row(entity=found, collection=found)


def _with_avus(rows):
    for row in rows:
        for avu in row.entity.avus:
            yield dataclasses.replace(row, avu=avu)
