# SPDX-License-Identifier: Apache-2.0

"""The connections of one store in this process: so many and no more.

Connections are made when they are needed and kept for the next request. A
connection that may be out of step with its server is never used again.
"""

import collections
import contextlib
import os
import threading
import weakref

from glance_store import exceptions

from glance_store_irods import errors
from glance_store_irods import link

_all = weakref.WeakSet()


class Sessions:
    """Lends connections.

    :param settings: Settings
    """

    def __init__(self, settings):
        self.settings = settings
        self._idle = collections.deque()
        self._links = weakref.WeakSet()
        self._begin()
        # Also at the end of the process.
        weakref.finalize(self, _close_all, self._idle)
        _all.add(self)

    def _begin(self):
        self._changed = threading.Condition()
        self._used = 0
        self._generation = object()

    @contextlib.contextmanager
    def lease(self, wait=True):
        """Lend a Lease; wait until one of the connections is free.

        :param wait: False to do without, if none is free now
        :raises: RemoteServiceUnavailable if none becomes free in time
        """
        generation = self._take_place(self.settings.timeout if wait else 0)
        lease = Lease(self)
        try:
            yield lease
        finally:
            lease.end()
            self._give_place(generation)

    def close(self):
        """Close the connections that nobody uses."""
        with self._changed:
            unused = collections.deque(self._idle)
            self._idle.clear()
        _close_all(unused)

    def drop_idle(self):
        """Close them without waiting for a server that may be gone."""
        while (found := self._pop()) is not None:
            found.drop()

    def idle_link(self):
        """Return a connection that was used before and looks well, or None."""
        while (found := self._pop()) is not None:
            if found.is_alive():
                break
            found.drop()
        return found

    def new_link(self):
        """Connect; return the connection."""
        made = link.Link(self.settings)
        self._links.add(made)
        return made

    def _pop(self):
        with self._changed:
            return self._idle.pop() if self._idle else None

    def keep(self, link_, generation):
        """Take back a connection that is in step with its server."""
        with self._changed:
            if generation is self._generation:
                self._idle.append(link_)

    @property
    def generation(self):
        """Changes when this is a forked process."""
        return self._generation

    @property
    def in_use(self):
        """How many connections are lent."""
        return self._used

    def _take_place(self, seconds):
        size = self.settings.pool_size
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._used < size, seconds
            ):
                raise exceptions.RemoteServiceUnavailable(
                    message=f'All {size} connections of store '
                            f'{self.settings.store} to iRODS are in use '
                            f'(irods_store_pool_size).'
                )
            self._used += 1
            return self._generation

    def _give_place(self, generation):
        with self._changed:
            if generation is self._generation:
                self._used -= 1
                self._changed.notify()

    def forget(self):
        """In a forked process: leave all connections to the parent."""
        for each in list(self._links):
            each.forget()
        self._links.clear()
        self._idle.clear()
        self._begin()


class Lease:
    """The right to use one connection at a time, a new one if it was lost."""

    def __init__(self, sessions):
        self._sessions = sessions
        self._generation = sessions.generation
        self._link = None
        self.descriptors = set()

    @property
    def settings(self):
        return self._sessions.settings

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
        link_ = self.link()
        try:
            return self._attempt(operation, action, path, seconds)
        except exceptions.RemoteServiceUnavailable:
            if not again or self.has(link_):
                raise
        # The others that are idle may be as dead.
        self._sessions.drop_idle()
        return self._attempt(operation, action, path, seconds)

    def _attempt(self, operation, action, path, seconds):
        link_ = self.link()
        with self.guarded(action, path):
            if seconds is None:
                return operation(link_.session)
            with link_.waiting(seconds):
                return operation(link_.session)

    @contextlib.contextmanager
    def guarded(self, action, path):
        """Raise glance_store's exceptions for the client's in the block.

        The connection is closed unless the server has answered. What the
        client raised is not kept as the cause, for its text would be shown.
        """
        try:
            yield
        except Exception as exc:
            if not errors.answered(exc):
                self.drop()
            failure = errors.translated(
                exc, action, path, self.settings.store
            )
            if failure is exc:
                raise
            raise failure from None
        except BaseException:
            # In the middle of a conversation.
            self.drop()
            raise

    @property
    def is_connected(self):
        return self._link is not None

    def link(self):
        """Return the connection, made now if there is none."""
        self._leave_to_parent()
        if self._link is None:
            self._link = (
                self._sessions.idle_link() or self._sessions.new_link()
            )
        return self._link

    def has(self, link_):
        """Tell whether this connection is still the one in use."""
        self._leave_to_parent()
        return self._link is link_

    def _leave_to_parent(self):
        """Let go the connection if the process was forked meanwhile."""
        if self._generation is not self._sessions.generation:
            self._generation = self._sessions.generation
            self._link = None
            self.descriptors.clear()

    def drop(self):
        """Close the connection: nothing more can be said through it."""
        self._leave_to_parent()
        self.descriptors.clear()
        link_, self._link = self._link, None
        if link_ is not None:
            link_.drop()

    def end(self):
        """Give the connection back."""
        self._leave_to_parent()
        if self.descriptors:
            # The server would keep the objects open as long as it lives.
            self.drop()
        link_, self._link = self._link, None
        if link_ is not None:
            self._sessions.keep(link_, self._generation)


def _close_all(links):
    while links:
        links.pop().close()


def _in_child():
    for sessions in list(_all):
        sessions.forget()


os.register_at_fork(after_in_child=_in_child)
