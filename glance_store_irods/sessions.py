# SPDX-License-Identifier: Apache-2.0

"""The connections of one store to its zone.

They are made when they are needed, kept for the next request, and never more
than the options allow. Each has a client session of its own: transfers do not
touch each other, and nobody waits while another one connects. What may be out
of step with its server is never used again, nor in a forked process.
"""

import collections
import contextlib
import functools
import logging
import os
import select
import socket
import sys
import threading
import weakref

from glance_store import exceptions
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


class Sessions:
    """Lends connections.

    :param settings: :class:`IrodsSettings`
    """

    def __init__(self, settings):
        self.settings = settings
        self._idle = collections.deque()
        self._links = weakref.WeakSet()
        self._begin()
        # Also at the end of the process.
        weakref.finalize(self, _close_all, self._idle)
        os.register_at_fork(
            after_in_child=functools.partial(_forget, weakref.ref(self))
        )

    def _begin(self):
        self._changed = threading.Condition()
        self._leases = set()

    @contextlib.contextmanager
    def lease(self, wait=True):
        """Lend a :class:`Lease`; wait until a connection is free.

        :param wait: False to do without, if none is free now
        :raises: RemoteServiceUnavailable if none becomes free in time
        """
        lease, size = Lease(self), self.settings.pool_size
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self._leases) < size,
                self.settings.timeout if wait else 0,
            ):
                raise exceptions.RemoteServiceUnavailable(
                    message=f'All {size} connections of store '
                            f'{self.settings.store} to iRODS are in use '
                            f'(irods_store_pool_size). Retry later.'
                )
            self._leases.add(lease)
        try:
            yield lease
        finally:
            lease.end()
            with self._changed:
                self._leases.discard(lease)
                self._changed.notify()

    @property
    def in_use(self):
        """How many connections are lent."""
        return len(self._leases)

    def link(self):
        """Return a :class:`Link` that was kept and looks well, or a new one.

        :raises: BadStoreConfiguration, RemoteServiceUnavailable
        """
        while (found := _pop(self._idle)) is not None:
            if found.is_alive():
                return found
            found.drop()
        made = Link(self.settings)
        self._links.add(made)
        return made

    def keep(self, link):
        """Take back a connection that is in step with its server."""
        self._idle.append(link)

    def close(self):
        """Close the connections that nobody uses."""
        _close_all(self._idle)

    def drop_idle(self):
        """Close them without waiting for a server that may be gone."""
        while (found := _pop(self._idle)) is not None:
            found.drop()

    def forget(self):
        """In a forked process: leave all connections to the parent."""
        for link in list(self._links):
            link.drop()
        self._links.clear()
        self._idle.clear()
        self._begin()


class Lease:
    """The right to use one connection at a time, a new one if it was lost."""

    def __init__(self, sessions):
        self.settings = sessions.settings
        self._sessions = sessions
        self._link = None

    def run(self, operation, action, path, *, again=False, seconds=None):
        """Return what ``operation(session)`` returns.

        :param action: a verb that says what it does, for the error
        :param path: what it does that to
        :param again: it does no harm to do it twice, so that it is, once,
            if the connection is lost. One that was not used for a while can
            be dead without a sign.
        :param seconds: how long to wait for each answer; as usual if None
        :raises: glance_store's exceptions, and what is a bug
        """
        link = self.link()
        try:
            return self._attempt(link, operation, action, path, seconds)
        except exceptions.RemoteServiceUnavailable:
            if not again or link.is_open:
                raise
        # The others that are idle may be as dead.
        self._sessions.drop_idle()
        return self._attempt(self.link(), operation, action, path, seconds)

    def _attempt(self, link, operation, action, path, seconds):
        """Close the connection unless the server has answered.

        What the client raised is not kept as the cause of an error, for its
        text would be shown.
        """
        try:
            with link.waiting(seconds):
                return operation(link.session)
        except Exception as exc:
            if not errors.answered(exc):
                link.drop()
            failure = errors.translated(
                exc, action, path, self.settings.store
            )
            if failure is exc:
                raise
            raise failure from None
        except BaseException:
            # In the middle of a conversation.
            link.drop()
            raise

    @property
    def is_connected(self):
        """Whether there is a connection that was not lost."""
        return self._link is not None and self._link.is_open

    def link(self):
        """Return the :class:`Link`, made now if there is none."""
        if not self.is_connected:
            self._link = self._sessions.link()
        return self._link

    def drop(self):
        """Close the connection: nothing more can be said through it."""
        if self._link is not None:
            self._link.drop()

    def end(self):
        """Give the connection back."""
        if not self.is_connected:
            return
        link, self._link = self._link, None
        if link.descriptors:
            # The server would keep the objects open as long as it lives.
            link.drop()
        else:
            self._sessions.keep(link)


class Link:
    """A client session that is logged in, with its one connection.

    ``descriptors`` are those of the objects that are open on it.

    :param settings: :class:`IrodsSettings`
    :raises: BadStoreConfiguration, RemoteServiceUnavailable
    """

    def __init__(self, settings):
        self.session = None
        self.descriptors = set()
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
            auto_cleanup=False, application_name=APPLICATION,
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


def _pop(idle):
    """Return one of the idle connections, or None if there is none."""
    try:
        return idle.pop()
    except IndexError:
        return None


def _close_all(idle):
    while (found := _pop(idle)) is not None:
        found.close()


def _forget(reference):
    """In a forked process."""
    sessions = reference()
    if sessions is not None:
        sessions.forget()


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
