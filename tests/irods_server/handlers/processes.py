# SPDX-License-Identifier: Apache-2.0

"""The agents that run on this server, as ips shows them."""

from tests.irods_server import negotiation
from tests.irods_server import replies
from tests.irods_server.handlers import queries

FIRST_COLUMN = 1000001


def processes(agent, request):
    """Tell of all agents: their number, users, addresses and programs."""
    rows = [_row(each) for each in agent.server.agents() if each.user]
    return replies.Reply(message=queries.pack(
        range(FIRST_COLUMN, FIRST_COLUMN + len(rows[0])), rows, -1
    ))


def _row(agent):
    name, zone = agent.user.key
    program = agent.startup.text('option').split(negotiation.REQUEST)[0]
    host = agent.server.host
    return (
        str(agent.number), agent.user.created, name, zone, name, zone, host,
        program, host,
    )
