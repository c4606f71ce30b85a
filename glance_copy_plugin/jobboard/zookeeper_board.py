# SPDX-License-Identifier: Apache-2.0

"""The jobboard in ZooKeeper, where a claim is part of a session."""

import contextlib
import datetime
import logging
import threading
import time
import uuid

from kazoo import exceptions
from kazoo import security
import kazoo.client
from kazoo.handlers import threading as handlers
from oslo_serialization import jsonutils

from glance_copy_plugin.jobboard import jobs

# A jobboard that does not answer must not hold a request, or the renewal of
# a claim.
_ANSWER_SECONDS = 3.0
# As it comes, kazoo looks less and less often if the server lives again.
_CONNECT_AGAIN = {'max_tries': -1, 'delay': 0.1, 'max_delay': 2.0}
# It would log each request, among them the one with the password.
_QUIET = logging.getLogger('glance_copy_plugin.jobboard.kazoo')
_QUIET.setLevel(logging.INFO)
_JOB, _LOCK = 'job', '.lock'


class _Result(handlers.AsyncResult):
    """An answer that is not waited for until the server lives again."""

    def get(self, block=True, timeout=_ANSWER_SECONDS):
        return super().get(block, timeout)


class _Handler(handlers.SequentialThreadingHandler):
    def async_result(self):
        return _Result(self)


class ZookeeperBoard:
    """Each job is a node, and its owner another one beside it.

    A claim ends with the session of its process, so that ``expiry`` is the
    session's, and renewing it is the library's business.

    :param client: a ``KazooClient``
    :param namespace: the nodes are below the one of this name
    :param expiry: how long its session lasts, in seconds
    """

    failures = (
        ConnectionError, exceptions.KazooException, handlers.KazooTimeoutError,
    )

    def __init__(self, client, namespace, expiry):
        self._client = client
        self._jobs = f'/taskflow/{namespace}/jobs'
        self._workers = f'/taskflow/{namespace}/workers'
        self._expiry = expiry
        self._lock = threading.Lock()
        self._live = None
        self._seen = 0
        self._tokens = set()
        # What does not change once it is there: {name: Job, or None}.
        self._known = {}

    def describe(self, failure):
        return str(failure) or type(failure).__name__

    def ping(self):
        self._connected().exists(self._jobs)

    def post(self, posting):
        # TaskFlow demands a number behind the prefix.
        name = f'{_JOB}{uuid.UUID(posting["uuid"]).int}'
        try:
            self._connected().create(
                f'{self._jobs}/{name}', jsonutils.dump_as_bytes(posting),
                makepath=True,
            )
        except exceptions.NodeExistsError:
            return False
        return True

    def jobs(self):
        names = self._children(self._jobs)
        locks = {each for each in names if each.endswith(_LOCK)}
        there = {each for each in names if each.startswith(_JOB)} - locks
        known = {each: self._known[each] for each in there & set(self._known)}
        contents = self._contents(self._jobs, locks | there - set(known))
        owners = {
            each: self._owner(each, *contents.pop(each))
            for each in locks & set(contents)
        }
        known |= dict.fromkeys(contents)
        known |= jobs.recognised(contents, self._job)
        self._known = known
        return [
            (job, owners.get(name + _LOCK))
            for name, job in known.items() if job
        ]

    def claim(self, job, token, expiry):
        self._tokens.add(token)
        claimed = False
        try:
            asked = self._connected().transaction()
            asked.check(job.key, -1)
            asked.create(
                job.key + _LOCK, jsonutils.dump_as_bytes({'owner': token}),
                ephemeral=True,
            )
            claimed = _done(asked)
        finally:
            if not claimed:
                self._tokens.discard(token)
        return claimed

    def owner_of(self, job):
        owner, _version = self._lock_of(job)
        return owner

    def extend(self, job, token, expiry):
        return self.owner_of(job) == token

    def consume(self, job, token):
        return self._end(job, token, job.key)

    def abandon(self, job, token):
        return self._end(job, token)

    def announce(self, name, text, seconds):
        path, content = f'{self._workers}/{name}', text.encode()
        client = self._connected()
        try:
            client.create(path, content, ephemeral=True, makepath=True)
        except exceptions.NodeExistsError:
            client.set(path, content)

    def announced(self):
        contents = self._contents(
            self._workers, self._children(self._workers)
        )
        return {name: content for name, (content, _) in contents.items()}

    def withdraw(self, name):
        with contextlib.suppress(exceptions.NoNodeError):
            self._connected().delete(f'{self._workers}/{name}')

    def close(self):
        """End the session, and kazoo's threads."""
        self._client.stop()
        self._client.close()

    def _connected(self):
        """Return the client, having waited for its connection.

        :raises ConnectionError: if there is none
        """
        with self._lock:
            if self._client.connected:
                self._seen = time.monotonic()
            elif (
                self._live is None
                or time.monotonic() - self._seen > self._expiry
            ):
                # Of itself kazoo never begins a new session with a server
                # that has lost its data: it asks for the old one for ever.
                if self._live:
                    self._client.stop()
                self._live = self._client.start_async()
                self._seen = time.monotonic()
        # A request would wait until it is.
        if not self._live.wait(_ANSWER_SECONDS):
            raise ConnectionError('no connection')
        return self._client

    def _children(self, path):
        try:
            return self._connected().get_children(path)
        except exceptions.NoNodeError:
            return []

    def _contents(self, path, names):
        """Return ``{name: (content, stat)}`` of the nodes that are there."""
        client = self._connected()
        asked = {each: client.get_async(f'{path}/{each}') for each in names}
        found = {}
        for name, answer in asked.items():
            with contextlib.suppress(exceptions.NoNodeError):
                found[name] = answer.get()
        return found

    def _job(self, name, content):
        text, stat = content
        return jobs.Job.of_posting(
            f'{self._jobs}/{name}', jsonutils.loads(text),
            datetime.datetime.fromtimestamp(
                stat.ctime / 1000, datetime.UTC
            ),
        )

    def _owner(self, name, content, stat):
        """Return who holds a lock; undo one that nobody knows to hold.

        A claim to which no answer came may have been made all the same, and
        would last as long as this process.
        """
        owner = jobs.owner_of_lock(content)
        session, _password = self._client.client_id
        if stat.ephemeralOwner != session or owner in self._tokens:
            return owner
        with contextlib.suppress(
            exceptions.NoNodeError, exceptions.BadVersionError
        ):
            self._client.delete(f'{self._jobs}/{name}', version=stat.version)
        return None

    def _lock_of(self, job):
        """Return the owner of a job, and the version of the lock's node."""
        client = self._connected()
        # This server may be behind the others.
        client.sync(job.key + _LOCK)
        try:
            content, stat = client.get(job.key + _LOCK)
        except exceptions.NoNodeError:
            return None, None
        return jobs.owner_of_lock(content), stat.version

    def _end(self, job, token, *paths):
        """Remove a lock and these nodes, if the claim is theirs by then."""
        owner, version = self._lock_of(job)
        ended = False
        if owner == token:
            asked = self._client.transaction()
            asked.delete(job.key + _LOCK, version)
            for path in paths:
                asked.delete(path)
            ended = _done(asked)
        self._tokens.discard(token)
        return ended


def make(settings):
    """Return a jobboard, which is not connected yet.

    :param settings: :class:`~jobboard.JobboardOptions`
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
    client = kazoo.client.KazooClient(
        hosts=','.join(f'{host}:{port}' for host, port in settings.hosts),
        timeout=float(settings.expiry), handler=_Handler(), logger=_QUIET,
        connection_retry=_CONNECT_AGAIN, **options,
    )
    return ZookeeperBoard(client, settings.namespace, settings.expiry)


def _done(transaction):
    """Commit a transaction; return whether it was done.

    :raises KazooException: if something else than its conditions failed
    """
    expected = (
        exceptions.NoNodeError, exceptions.NodeExistsError,
        exceptions.BadVersionError, exceptions.RolledBackError,
        exceptions.RuntimeInconsistency,
    )
    failed = [
        each for each in transaction.commit() if isinstance(each, Exception)
    ]
    for each in failed:
        if not isinstance(each, expected):
            raise each
    return not failed
