# SPDX-License-Identifier: Apache-2.0

"""One connection to a zone, with a client session of its own.

Nothing of python-irodsclient's pool is used but its bookkeeping: transfers do
not touch each other, and nobody waits while another one connects.
"""

import contextlib
import logging
import select
import socket
import sys
import time
import uuid

from irods import connection
from irods import exception
from irods import password_obfuscation
from irods import session

# The client loads these only when it needs them, and then they log.
from irods.auth import native  # noqa: F401
from irods.auth import pam_password  # noqa: F401

from glance_store_irods import errors

APPLICATION = 'glance_store_irods'
# A goodbye must not keep anybody waiting.
GOODBYE_SECONDS = 2.0
# A host that is gone is noticed after three minutes.
KEEP_ALIVE = {
    socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 6,
}
_CLIENT_LOGGER = 'irods'


class Link:
    """A client session that is logged in, with its one connection.

    ``descriptors`` are those of the objects that are open on it. The zone
    lists its agent under the name ``program``. ``outdated`` is set when the
    agent may not know the resources as they are now.

    :param settings: :class:`IrodsSettings`
    :raises: BadStoreConfiguration, RemoteServiceUnavailable
    """

    def __init__(self, settings):
        self.session = None
        self.descriptors = set()
        self.program = f'{APPLICATION}-{uuid.uuid4().hex[:12]}'
        self.outdated = False
        self.is_new = True
        self.made = self.kept = time.monotonic()
        self._connection = None
        _silence_client()
        login, failure = _login(settings), None
        try:
            self._connect(settings, login)
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

    def _connect(self, settings, login):
        self.session = session.iRODSSession(
            auto_cleanup=False, application_name=self.program,
            connection_timeout=settings.connection_timeout, **login,
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

    @property
    def is_open(self):
        """Whether it was neither closed nor left to another process."""
        return self._connection is not None

    @contextlib.contextmanager
    def waiting(self, seconds):
        """Wait so long for each answer within the block; None: as usual."""
        usual = self.session.connection_timeout
        self.session.connection_timeout = seconds or usual
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
        """Close the connection without a word, whatever state it is in.

        In a forked process that closes its copies of the parent's sockets.
        Locks of the client may be held by a thread that does not exist there,
        so that nothing of it is called, now or when garbage is collected.
        """
        connections = self._connections()
        self.descriptors.clear()
        self._connection = None
        if self.session is not None:
            self.session.pool = None
        for each in connections:
            its_socket, each.socket = each.socket, None
            its_socket.close()

    def _connections(self):
        """Return all that are open: an operation may have made a second."""
        pool = self.session.pool if self.session is not None else None
        if pool is None:
            return set()
        return {
            each for each in {self._connection, *pool.active, *pool.idle}
            if each is not None and each.socket is not None
        }


def _login(settings):
    """Return what a session of the client is told about the account."""
    account, store = settings.account, settings.store
    password, path = account.password, account.authentication_file
    if path is not None:
        try:
            with open(path, encoding='utf-8') as file:
                text = file.read().rstrip('\n')
            password = password_obfuscation.decode(text, account.uid)
        except (OSError, ValueError, IndexError):
            raise errors.misconfigured(
                store, f'the authentication file {path} cannot be read, or '
                       f'is damaged'
            ) from None
    try:
        tls = account.tls.options()
    except OSError:
        raise errors.misconfigured(
            store, 'the certificate authorities cannot be read any more'
        ) from None
    return {
        'host': account.host, 'port': account.port, 'zone': account.zone,
        'user': account.user, 'password': password,
        'authentication_scheme': account.scheme, **tls,
    }


def _tune(its_socket):
    """Notice a host that is gone; send each message as it is.

    Some answers take hours, in which nothing else would show that nobody is
    there any more.
    """
    its_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEP_ALIVE.items():
        its_socket.setsockopt(socket.IPPROTO_TCP, option, value)
    its_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _from_info(record):
    return record.levelno >= logging.INFO


def _silence_client():
    """Keep python-irodsclient from logging its messages; harmless twice.

    At the level DEBUG it logs each as it is sent: the login (with PAM, the
    password) and all image data. Filters of a logger are not inherited and
    levels can be set again by the service, so that each of its loggers, which
    are named after its modules, gets a filter. All must be loaded already.
    """
    for name in list(sys.modules):
        if name.partition('.')[0] == _CLIENT_LOGGER:
            logging.getLogger(name).addFilter(_from_info)
    client = logging.getLogger(_CLIENT_LOGGER)
    if client.level == logging.NOTSET:
        client.setLevel(logging.INFO)
