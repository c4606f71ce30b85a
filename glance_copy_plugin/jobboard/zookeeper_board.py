# SPDX-License-Identifier: Apache-2.0

"""TaskFlow's jobboard in ZooKeeper, where a claim is part of a session."""

import contextlib
import logging
import time
import uuid as uuid_

from kazoo import client as client_
from kazoo import exceptions as kazoo_exceptions
from kazoo import security
from kazoo.handlers import threading as handlers
from kazoo.protocol import paths
from oslo_serialization import jsonutils
from taskflow import exceptions
from taskflow.jobs import base
from taskflow.jobs.backends import impl_zookeeper
from taskflow.utils import misc

from glance_copy_plugin.jobboard import board_base

# A jobboard that does not answer must not hold a request, or the renewal of
# a claim.
_ANSWER_SECONDS = 3.0
# As it comes, kazoo looks less and less often if the server lives again.
_CONNECT_AGAIN = {'max_tries': -1, 'delay': 0.1, 'max_delay': 2.0}
# It would log each request, among them the one with the password.
_QUIET = logging.getLogger('glance_copy_plugin.jobboard.kazoo')
_QUIET.setLevel(logging.INFO)


class _Result(handlers.AsyncResult):
    """An answer that is not waited for until the server lives again."""

    def get(self, block=True, timeout=_ANSWER_SECONDS):
        return super().get(block, timeout)


class _Handler(handlers.SequentialThreadingHandler):
    def async_result(self):
        return _Result(self)


class ZookeeperBoard(impl_zookeeper.ZookeeperJobBoard, board_base.Kind):
    """As TaskFlow's; of each job there is one at most, by its name.

    A claim ends with the session of its process, so that ``expiry`` is the
    session's, and renewing it is the library's business.

    :param client: a ``KazooClient``
    :param expiry: how long its session lasts, in seconds
    """

    def __init__(self, name, client, namespace, expiry):
        root = paths.join('/taskflow', namespace)
        super().__init__(
            # Servers of today do not tell their version.
            name, {'path': f'{root}/jobs', 'check_compatible': False},
            client=client, emit_notifications=False,
        )
        self._workers_path = f'{root}/workers'
        self._expiry = expiry
        self._tokens = set()
        self._begun = False
        self._live = None
        self._seen = 0
        self._unreadable = set()
        # Not None, which would make TaskFlow keep up with each change.
        self._job_watcher = False

    @property
    def connected(self):
        """False if kazoo cannot be expected to restore the connection."""
        if self._client.connected:
            self._seen = time.monotonic()
        return self._begun and time.monotonic() - self._seen < self._expiry

    def connect(self):
        """Connect for the first time, or begin a new session.

        Of itself kazoo never does the latter with a server that has lost its
        data: it asks for its old session for ever.
        """
        with self._translating():
            if self._begun:
                self._client.stop()
            self._live = self._client.start_async()
        if not self._begun:
            self._connect_first()
        self._seen = time.monotonic()

    def close(self):
        """End the session, and kazoo's threads."""
        super().close()
        self._client.stop()
        self._client.close()

    def _connect_first(self):
        if not self._live.wait(_ANSWER_SECONDS):
            self._client.stop()
            raise exceptions.JobFailure('zookeeper: no connection')
        super().connect(timeout=_ANSWER_SECONDS)
        self._begun = True

    def ping(self):
        """Return if the jobboard answers, having asked it."""
        with self._asking():
            self._client.exists(self.path)

    def post_once(self, uuid, name, details, priority):
        """Put a job on the jobboard, unless one of this id is there."""
        # TaskFlow demands a number behind the prefix.
        path = f'{self._job_base}{uuid_.UUID(uuid).int}'
        posting = base.format_posting(
            uuid, name, details=details, priority=priority
        )
        with self._asking():
            try:
                self._client.create(path, _encoded(posting), makepath=True)
            except kazoo_exceptions.NodeExistsError:
                return False
            return True

    def postings(self):
        """Return (job, owner or None) for each job that is not done."""
        with self._asking():
            try:
                names = self._client.get_children(self.path)
            except kazoo_exceptions.NoNodeError:
                names = []
            # TaskFlow would say so of each at each look.
            self._unreadable.intersection_update(names)
            self._on_job_posting(
                [each for each in names if each not in self._unreadable],
                delayed=False,
            )
            asked = {
                name: self._client.get_async(paths.join(self.path, name))
                for name in names if name.endswith(self.LOCK_POSTFIX)
            }
            owners = {
                paths.join(self.path, name): self._owner(name, answer)
                for name, answer in asked.items()
            }
        with self._job_cond:
            jobs = list(self._known_jobs.values())
        return [(job, owners.get(job.lock_path)) for job in jobs]

    def _process_child(self, path, request, quiet=True):
        try:
            super()._process_child(path, request, quiet)
        except board_base.NONSENSE:
            board_base.say_unreadable(path)
            self._unreadable.add(path.rpartition('/')[2])

    def claim(self, job, who, expiry):
        """Take a job, if it is there and nobody has it."""
        self._tokens.add(who)
        try:
            with self._asking():
                super().claim(job, who)
        except BaseException:
            self._tokens.discard(who)
            raise

    def find_owner(self, job):
        """Return who has claimed a job, as the jobboard knows now, or None."""
        with self._asking():
            # This server may be behind the others.
            self._client.sync(job.lock_path)
            try:
                value, _stat = self._client.get(job.lock_path)
            except kazoo_exceptions.NoNodeError:
                return None
            return board_base.owner_of_lock(value)

    def extend(self, job, who, expiry):
        """Renew a claim; False if it is not theirs."""
        return self.find_owner(job) == who

    def consume(self, job, who):
        """Take a job off the jobboard; ``NotFound`` if that was done."""
        with self._asking():
            super().consume(job, who)
        self._tokens.discard(who)

    def abandon(self, job, who):
        """Give a job back; ``NotFound`` if it is gone."""
        with self._asking():
            super().abandon(job, who)
        self._tokens.discard(who)

    def announce(self, name, content, seconds):
        """Say something of a worker, which is forgotten with its session."""
        path = paths.join(self._workers_path, name)
        with self._asking():
            try:
                self._client.create(
                    path, misc.binary_encode(content), ephemeral=True,
                    makepath=True,
                )
            except kazoo_exceptions.NodeExistsError:
                self._client.set(path, misc.binary_encode(content))

    def announced(self):
        """Return ``{name: what was said}`` of the workers that live."""
        found = {}
        with self._asking():
            try:
                names = self._client.get_children(self._workers_path)
            except kazoo_exceptions.NoNodeError:
                return found
            for name in names:
                with contextlib.suppress(kazoo_exceptions.NoNodeError):
                    said, _stat = self._client.get(
                        paths.join(self._workers_path, name)
                    )
                    found[name] = said
        return found

    def withdraw(self, name):
        """A worker lives no more."""
        with self._asking(), contextlib.suppress(
            kazoo_exceptions.NoNodeError
        ):
            self._client.delete(paths.join(self._workers_path, name))

    def _owner(self, name, answer):
        """Return who holds a lock; undo one that nobody knows to hold.

        A claim to which no answer came may have been made all the same, and
        would last as long as this process.
        """
        try:
            value, stat = answer.get()
        except kazoo_exceptions.NoNodeError:
            return None
        owner = board_base.owner_of_lock(value)
        session, _password = self._client.client_id
        if stat.ephemeralOwner != session or owner in self._tokens:
            return owner
        with contextlib.suppress(
            kazoo_exceptions.NoNodeError, kazoo_exceptions.BadVersionError
        ):
            self._client.delete(
                paths.join(self.path, name), version=stat.version
            )
        return None

    @contextlib.contextmanager
    def _asking(self):
        """Ask the server for something, in the words of TaskFlow."""
        if not self._live.wait(_ANSWER_SECONDS):
            # A request would wait until it is.
            raise exceptions.JobFailure('zookeeper: not connected now')
        with self._translating():
            yield

    @contextlib.contextmanager
    def _translating(self):
        try:
            yield
        except (
            kazoo_exceptions.KazooException,
            self._client.handler.timeout_exception,
        ) as exc:
            raise exceptions.JobFailure(
                f'zookeeper: {type(exc).__name__} {exc}'.strip()
            ) from None


def make(name, settings):
    """Return a jobboard, which is not connected yet.

    :param settings: :class:`~options.Settings`
    """
    options = {}
    if settings.username:
        options['auth_data'] = [
            ('digest', f'{settings.username}:{settings.password or ""}')
        ]
        # Others may not even look.
        options['default_acl'] = security.CREATOR_ALL_ACL
    if settings.tls:
        options |= {
            'use_ssl': True, 'verify_certs': True, 'check_hostname': True,
            'ca': settings.ca_file, 'certfile': settings.cert_file,
            'keyfile': settings.key_file,
        }
    client = client_.KazooClient(
        hosts=','.join(f'{host}:{port}' for host, port in settings.hosts),
        timeout=float(settings.expiry), handler=_Handler(), logger=_QUIET,
        connection_retry=_CONNECT_AGAIN, **options,
    )
    return ZookeeperBoard(
        name, client, settings.namespace, settings.expiry
    )


def _encoded(content):
    return misc.binary_encode(jsonutils.dumps(content))
