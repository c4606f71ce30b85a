# SPDX-License-Identifier: Apache-2.0

"""The connections of one store to its zone.

They are made when they are needed, kept for the next request for a while, and
never more than the options allow. What may be out of step with its server is
never used again, nor in a forked process.
"""

import collections
import contextlib
import functools
import logging
import os
import threading
import time
import weakref

from glance_store import exceptions

from glance_store_irods import errors
from glance_store_irods import link as links

LOG = logging.getLogger(__name__)

# Seconds between two tries to reach a server that is waited for.
PAUSE = 1.0


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
        self._ending = None

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
                raise errors.Unavailable(
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
        while (found := _pop(self._idle.pop)) is not None:
            if not found.is_alive():
                found.drop()
            elif self._may_be_kept(found):
                return found
            else:
                found.close()
        made = links.Link(self.settings)
        self._links.add(made)
        return made

    def keep(self, link):
        """Take back a connection that is in step with its server."""
        if not self._may_be_kept(link):
            link.close()
            return
        link.kept = time.monotonic()
        self._idle.append(link)
        with self._changed:
            self._end_idle_later(self.settings.connection_idle)

    def _may_be_kept(self, link):
        """Tell whether a connection is good for further requests.

        An agent reads once which resources there are, and costs the zone a
        process.
        """
        age = time.monotonic() - link.made
        return not link.outdated and age < self.settings.connection_max_age

    def _end_idle_later(self, seconds):
        """Have what is not used for a while closed; the lock is held."""
        if self._ending is None:
            self._ending = threading.Timer(seconds, self._end_idle)
            self._ending.daemon = True
            self._ending.start()

    def _end_idle(self):
        """Close those at the old end that were not used for long enough."""
        left = 0
        while left <= 0 and (found := _pop(self._idle.popleft)) is not None:
            left = (
                found.kept + self.settings.connection_idle - time.monotonic()
            )
            if left > 0:
                self._idle.appendleft(found)
            else:
                found.close()
        with self._changed:
            self._ending = None
            if left > 0:
                self._end_idle_later(left)

    def close(self):
        """Close the connections that nobody uses."""
        _close_all(self._idle)

    def drop_idle(self):
        """Close them without waiting for a server that may be gone."""
        while (found := _pop(self._idle.pop)) is not None:
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
        self._wait = None
        self._patience = 0

    def be_patient(self, wait=time.sleep, seconds=None):
        """From now on wait for a server that cannot be reached.

        For whoever has begun something, which a restart of the server shall
        not end.

        :param wait: called with seconds; raises to stop
        :param seconds: how long each time; ``irods_store_timeout`` if None
        """
        self._wait = wait
        self._patience = self.settings.timeout if seconds is None else seconds

    def run(self, operation, action, path, *, again=False, seconds=None):
        """Return what ``operation(session)`` returns.

        :param action: a verb that says what it does, for the error
        :param path: what it does that to
        :param again: it does no harm to do it twice, so that it is, once,
            if the connection is lost. One that was not used for a while can
            be dead without a sign. What the server has refused because of a
            resource is asked again in any case, on a new connection.
        :param seconds: how long to wait for each answer; as usual if None
        :raises: glance_store's exceptions, and what is a bug
        """
        link = self.link()
        was_new, link.is_new = link.is_new, False
        try:
            return self._attempt(link, operation, action, path, seconds)
        except (
            exceptions.GlanceStoreException, exceptions.BackendException
        ):
            if link.is_open:
                if was_new or not link.outdated or link.descriptors:
                    raise
                link.close()
            elif not again:
                raise
        # The others that are idle may be as dead, or as outdated.
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
            elif errors.may_be_outdated(exc):
                link.outdated = True
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
    def program(self):
        """The name by which the zone lists the agent of the connection."""
        return self._link.program if self._link is not None else None

    @property
    def is_connected(self):
        """Whether there is a connection that was not lost."""
        return self._link is not None and self._link.is_open

    def link(self):
        """Return the :class:`Link`, made now if there is none."""
        ends, told = time.monotonic() + self._patience, False
        while not self.is_connected:
            try:
                self._link = self._sessions.link()
            except exceptions.RemoteServiceUnavailable as exc:
                if time.monotonic() >= ends:
                    raise
                if not told:
                    LOG.warning('%s Waiting for it.', exc)
                    told = True
                self._wait(PAUSE)
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


def _pop(take):
    """Return one of the idle connections, or None if there is none."""
    try:
        return take()
    except IndexError:
        return None


def _close_all(idle):
    while (found := _pop(idle.pop)) is not None:
        found.close()


def _forget(reference):
    """In a forked process."""
    sessions = reference()
    if sessions is not None:
        sessions.forget()
