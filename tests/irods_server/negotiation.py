# SPDX-License-Identifier: Apache-2.0

"""The first words with a client: TCP or TLS, and the version."""

import ssl

from tests.irods_server import codes
from tests.irods_server import packing
from tests.irods_server import wire

REQUEST = 'request_server_negotiation'
REQUIRE = 'CS_NEG_REQUIRE'
REFUSE = 'CS_NEG_REFUSE'
USE_TLS = 'CS_NEG_USE_SSL'
FAILURE = 'CS_NEG_FAILURE'


def welcome(agent):
    """Greet a client; tell whether there is anything more to do."""
    header = agent.stream.receive_header()
    startup = packing.Structure.parse(agent.stream.receive(header.message))
    if header.type != 'RODS_CONNECT':
        return False
    agent.startup = startup
    try:
        agent.faults.check('connect', 'before')
    except codes.IrodsError as error:
        send_version(agent, error.code)
        return False
    policy = agent.server.policy
    if REQUEST not in startup.text('option'):
        if policy == REQUIRE:
            agent.stream.reset()
            return False
        send_version(agent)
        return True
    return _negotiate(agent, policy)


def send_version(agent, status=0):
    """Tell the client which iRODS this is."""
    agent.stream.send_message('RODS_VERSION', packing.pack('Version_PI', [
        ('status', status), ('relVersion', agent.server.version),
        ('apiVersion', 'd'), ('reconnPort', 0), ('reconnAddr', ''),
        ('cookie', 400),
    ]), info=status)


def _negotiate(agent, policy):
    stream = agent.stream
    stream.send_message('RODS_CS_NEG_T', packing.pack('CS_NEG_PI', [
        ('status', 1), ('result', policy),
    ]))
    header = stream.receive_header()
    answer = packing.Structure.parse(stream.receive(header.message))
    result = answer.text('result')
    if FAILURE in result:
        return False
    send_version(agent)
    if USE_TLS in result:
        _start_tls(agent)
    return True


def _start_tls(agent):
    """Take the connection to TLS, and the secret that iRODS adds to it."""
    stream = agent.stream
    try:
        stream.socket = agent.server.tls.wrap_socket(
            stream.socket, server_side=True
        )
    except (ssl.SSLError, OSError) as error:
        raise wire.PeerGone(str(error)) from error
    stream.receive_header()
    secret = stream.receive_header()
    stream.receive(secret.message)


def policy_of(tls):
    """Return what the server says of TLS: None, 'accept', 'require'."""
    return {
        None: REFUSE, 'accept': 'CS_NEG_DONT_CARE', 'require': REQUIRE,
    }[tls]
