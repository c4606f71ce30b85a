# SPDX-License-Identifier: Apache-2.0

"""GenQuery: questions to the catalog, answered page by page."""

from tests.irods_server import codes
from tests.irods_server import genquery
from tests.irods_server import packing
from tests.irods_server import replies

# The reply always has room for so many columns, used or not.
COLUMNS = 50
MINIMUM_WIDTH = 50
HIERARCHY = 422


def query(agent, request):
    """Answer a query, its next page, or end it."""
    said = request.input
    number = said.number('continueInx')
    limit = said.number('maxRows')
    if number:
        columns, rows = agent.queries.pop(number, ((), []))
    elif limit > 0:
        columns, rows = _ask(agent, said)
    else:
        columns, rows = (), []
    if limit <= 0:
        return replies.Reply(message=pack([], [], 0))
    page, rest = rows[:limit], rows[limit:]
    if not page:
        raise codes.IrodsError(codes.CAT_NO_ROWS_FOUND, pack([], [], 0))
    more = 0
    if len(page) == limit:
        # As in iRODS there may be nothing left: the next one finds out.
        more = number or min(set(range(1, 51)) - set(agent.queries))
        agent.queries[more] = columns, rest
    return replies.Reply(message=pack(columns, page, more))


def _ask(agent, said):
    question = genquery.Question(
        selects=[
            (int(column), int(option)) for column, option
            in said.pairs('InxIvalPair_PI', 'inx', 'ivalue')
        ],
        conditions=[
            (int(column), text) for column, text
            in said.pairs('InxValPair_PI', 'inx', 'svalue')
        ],
        options=said.number('options'),
    )
    zone = said.options().get('zone') or question.zone_hint()
    catalog, user = agent.at(f'/{zone}')
    with catalog.lock:
        rows = question.answer(catalog, user)
    columns = [column for column, _ in question.selects]
    return columns, rows[said.number('partialStartIndex'):]


def pack(columns, rows, more):
    """Return the reply's XML, with its empty columns."""
    longest = max((len(value) for row in rows for value in row), default=0)
    fields = [
        ('rowCnt', len(rows)), ('attriCnt', len(columns)),
        ('continueInx', more), ('totalRowCount', 0),
    ]
    for position, column in enumerate(columns):
        values = [row[position] for row in rows]
        width = max(longest + 1, MINIMUM_WIDTH)
        if column == HIERARCHY:
            width = max(len(value) for value in values) + 1
        fields.append(('SqlResult_PI', [
            ('attriInx', column), ('reslen', width),
            *(('value', value) for value in values),
        ]))
    fields += [
        ('SqlResult_PI', [('attriInx', 0), ('reslen', 0)])
    ] * (COLUMNS - len(columns))
    return packing.pack('GenQueryOut_PI', fields)
