# SPDX-License-Identifier: Apache-2.0

"""One connection to a zone, as a session of python-irodsclient.

Each connection has a session of its own, so that nothing that the client does
to a session, such as tearing all of it down, touches another transfer, and
that nobody waits while another one connects.
"""

import contextlib
import select
import socket

from irods import connection
from irods import exception
from irods import password_obfuscation
from irods import session

# The client loads these only when it needs them, and then they log.
from irods.auth import native  # noqa: F401
from irods.auth import pam_password  # noqa: F401

from glance_store_irods import errors
from glance_store_irods import logs

APPLICATION = 'glance_store_irods'
# A goodbye must not keep anybody waiting.
GOODBYE_SECONDS = 2.0
# A host that is gone is noticed after three minutes.
KEEP_ALIVE = {
    socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 6,
}


class Link:
    """A session that is logged in, with its one connection.

    :param settings: Settings
    :raises: BadStoreConfiguration, RemoteServiceUnavailable
    """

    def __init__(self, settings):
        self.session = None
        self._connection = None
        logs.silence_client()
        failure = None
        try:
            self._connect(settings)
        except Exception as exc:
            self.drop()
            failure = errors.login_failed(
                exc, settings.account, settings.store
            )
            if failure is exc:
                raise
        if failure is not None:
            # Not from within the handler: the client's exception would keep
            # what it was doing alive, and be shown as the cause.
            raise failure

    def _connect(self, settings):
        account = settings.account
        self.session = session.iRODSSession(
            auto_cleanup=False,
            application_name=APPLICATION,
            host=account.host,
            port=account.port,
            zone=account.zone,
            user=account.user,
            password=_password(account),
            authentication_scheme=account.scheme,
            connection_timeout=settings.connection_timeout,
            **_tls_options(account),
        )
        pool = self.session.pool
        # Made in two steps, for what its __init__ has opened must be closed
        # if it fails; the pool would not know the connection then.
        self._connection = connection.Connection.__new__(
            connection.Connection
        )
        self._connection.socket = None
        self._connection.__init__(pool, pool.account)
        pool.idle.add(self._connection)
        _tune(self._connection.socket)
        with pool.get_connection():
            # Asked for later, it would take a connection and keep it.
            self.session.data_objects.server_version  # noqa: B018
        self.session.connection_timeout = settings.timeout

    @contextlib.contextmanager
    def waiting(self, seconds):
        """Wait so long for each answer within the block."""
        usual = self.session.connection_timeout
        self.session.connection_timeout = seconds
        try:
            yield
        finally:
            self.session.connection_timeout = usual

    def is_alive(self):
        """Tell whether an idle connection looks as if it could be used.

        The server says nothing unasked, so that what can be read is the end.
        """
        if self._connections() != {self._connection}:
            return False
        poll = select.poll()
        poll.register(self._connection.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self):
        """Say goodbye and close the connection."""
        for each in self._connections():
            try:
                each.socket.settimeout(GOODBYE_SECONDS)
                each.disconnect()
            except (OSError, exception.NetworkException):
                """The other side is gone already; ours is closed next."""
        self.drop()

    def drop(self):
        """Close the connection without a word, whatever state it is in."""
        connections = self._connections()
        self._connection = None
        if self.session is not None:
            # Nor shall the client say anything when it collects garbage.
            self.session.pool.active.clear()
            self.session.pool.idle.clear()
        _close_sockets(connections)

    def forget(self):
        """In a forked process: close our copies of the parent's sockets.

        Locks of the client may be held by a thread that does not exist here,
        so that nothing of it is called.
        """
        connections = self._connections()
        self._connection = self.session.pool = None
        _close_sockets(connections)

    def _connections(self):
        """All that are open: a borrower may have made more than one."""
        if self.session is None or self.session.pool is None:
            return set()
        pool = self.session.pool
        return {
            each for each in {self._connection, *pool.active, *pool.idle}
            if each is not None and each.socket is not None
        }


def _tune(socket_):
    """Notice a host that is gone; send each message as it is.

    Some answers take hours, in which nothing else would show that nobody is
    there any more.
    """
    socket_.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEP_ALIVE.items():
        socket_.setsockopt(socket.IPPROTO_TCP, option, value)
    socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close_sockets(connections):
    for each in connections:
        socket_, each.socket = each.socket, None
        socket_.close()


def _password(account):
    """Return the password, from the authentication file if there is one."""
    path = account.authentication_file
    if path is None:
        return account.password
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read().rstrip('\n')
        return password_obfuscation.decode(text, account.uid)
    except (OSError, ValueError, IndexError):
        raise errors.LoginImpossible(
            f'the authentication file {path} cannot be read, or is damaged'
        ) from None


def _tls_options(account):
    try:
        return account.tls.options()
    except OSError:
        raise errors.LoginImpossible(
            'the certificate authorities cannot be read any more'
        ) from None
