# SPDX-License-Identifier: Apache-2.0

"""The zone's processes: an agent serves each connection.

An agent that dies leaves what it was writing locked for ever, as if it were
still being written. Whether one lives, its server tells everybody.
"""

import dataclasses

from glance_store import exceptions
from irods import message

from glance_store_irods import api

# Of the answer: columns have numbers, as in a query to the catalog.
_PROGRAM, _SERVER = 1000008, 1000009
# The server that is asked, and not that of the catalog.
_THERE = {'execLocally': ''}


class _ProcStatRequest(message.Message):
    """API 690: which agents there are."""

    _name = 'ProcStatInp_PI'
    addr = message.StringProperty()
    rodsZone = message.StringProperty()
    KeyValPair_PI = message.SubmessageProperty(message.StringStringMap)

    def __init__(self):
        super().__init__()
        self.addr = self.rodsZone = ''
        self.KeyValPair_PI = message.StringStringMap(_THERE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agent:
    """The agent of a connection.

    :param program: the name by which the server lists it
    :param server: which server it runs on
    """

    program: str
    server: str


def find(lease, program):
    """Return the :class:`Agent` of another connection.

    :param program: the name by which it would be listed
    :returns: None if the server does not tell, or is another one
    """
    return next(
        (each for each in _list(lease) if each.program == program), None
    )


def is_dead(lease, agent):
    """Tell whether an agent is known not to run any more.

    :param agent: as :func:`find` returned it; of None nothing is known
    """
    if agent is None:
        return False
    listed = _list(lease)
    # Only the same server knows, and it must be one that tells: of the agent
    # of this connection as well.
    return agent not in listed and (
        dataclasses.replace(agent, program=lease.program) in listed
    )


def _list(lease):
    try:
        answer = lease.run(
            lambda session: api.ask(
                session, 'PROC_STAT_AN', _ProcStatRequest()
            ).get_main_message(message.GenQueryResponse),
            'find', 'the agents of the server', again=True,
        )
    except exceptions.RemoteServiceUnavailable:
        raise
    except (exceptions.GlanceStoreException, exceptions.BackendException):
        # It does not tell everybody, or everything.
        return []
    columns = {each.attriInx: each.value for each in answer.SqlResult_PI}
    return [
        Agent(program=program, server=server) for program, server in zip(
            columns.get(_PROGRAM, ()), columns.get(_SERVER, ()),
            strict=False,
        )
    ]
