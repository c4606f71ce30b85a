# SPDX-License-Identifier: Apache-2.0

"""Who a client is: native passwords, and PAM over TLS."""

import base64
import hashlib
import hmac
import secrets
import ssl

from tests.irods_server import codes
from tests.irods_server import packing
from tests.irods_server import replies

PASSWORD_LENGTH = 50


def authenticate(agent, request):
    """Do the next step of the login of iRODS 4.3 and later."""
    said = request.input.json()
    if said.get('scheme') == 'pam_password':
        said['request_result'] = _check_pam(agent, said)
    elif said.get('next_operation') == 'auth_agent_auth_request':
        agent.challenge = secrets.token_hex(32)
        said['request_result'] = agent.challenge
    else:
        _log_in(
            agent, said.get('user_name', ''), said.get('zone_name', ''),
            base64.b64decode(said.get('digest', '')),
        )
    return replies.Reply(message=packing.pack_json(said))


def request_challenge(agent, request):
    """Begin the login of iRODS before 4.3."""
    agent.challenge = secrets.token_hex(32)
    return replies.Reply(message=packing.pack('authRequestOut_PI', [
        ('challenge', base64.b64encode(agent.challenge.encode()).decode()),
    ]))


def respond(agent, request):
    """End the login of iRODS before 4.3."""
    name, _, zone = request.input.text('username').partition('#')
    _log_in(
        agent, name, zone or agent.startup.text('proxyRcatZone'),
        base64.b64decode(request.input.text('response')),
    )


def _log_in(agent, name, zone, digest):
    """Let the client in, or refuse it."""
    user = agent.catalog.users.get((name, zone))
    home = agent.catalog.zones.get(zone)
    if user is None or home is None:
        raise codes.IrodsError(codes.CAT_INVALID_USER)
    passwords = home.users[user.key].passwords
    if not any(
        hmac.compare_digest(digest, _digest(agent.challenge, password))
        for password in passwords
    ):
        raise codes.IrodsError(codes.CAT_INVALID_AUTHENTICATION)
    if user.key != (
        agent.startup.text('clientUser'), agent.startup.text('clientRcatZone')
    ):
        # An administrator could act for another user, which nobody tests.
        raise codes.IrodsError(codes.SYS_PROXYUSER_NO_PRIV)
    agent.user = user


def _digest(challenge, password):
    """Return what a client that knows ``password`` answers."""
    padded = password.encode().ljust(PASSWORD_LENGTH, b'\0')
    digest = hashlib.md5(
        challenge.encode() + padded, usedforsecurity=False
    ).digest()
    return digest.replace(b'\0', b'\1')


def _check_pam(agent, said):
    """Return a password for the native login that follows."""
    if not isinstance(agent.stream.socket, ssl.SSLSocket):
        raise codes.IrodsError(codes.PAM_AUTH_PASSWORD_FAILED)
    user = agent.catalog.users.get(
        (said.get('user_name'), said.get('zone_name'))
    )
    if user is None:
        raise codes.IrodsError(codes.CAT_INVALID_USER)
    if user.pam_password is None or user.pam_password != said.get('a_pw'):
        raise codes.IrodsError(codes.PAM_AUTH_PASSWORD_FAILED)
    password = secrets.token_hex(16)
    user.passwords.append(password)
    return password
