# SPDX-License-Identifier: Apache-2.0

"""The jobboard in etcd, through its HTTP gateway."""

import ssl

import etcd3gw
import etcd3gw.exceptions
from oslo_serialization import base64
from oslo_serialization import jsonutils
from oslo_utils import timeutils
import requests

from glance_copy_plugin.jobboard import jobs

# A jobboard that does not answer must not hold a request, or the renewal of
# a claim.
_ANSWER_SECONDS = 3.0
_API = '/v3/'
_DATA, _LOCK = '.data', '.lock'


class Client(etcd3gw.Etcd3Client):
    """A client that logs in, which etcd3gw does not know how to do.

    :param username: None if etcd knows no users
    """

    def __init__(self, *, username, password, session, **options):
        super().__init__(
            session=session, timeout=_ANSWER_SECONDS, api_path=_API, **options
        )
        self._username = username
        self._password = password

    def post(self, url, *args, **kwargs):
        """Send a request; log in first if etcd does not know who asks."""
        try:
            return super().post(url, *args, **kwargs)
        except etcd3gw.exceptions.Etcd3Exception as exc:
            # An etcd that has lost its data is silent to a token of before.
            token = self.session.headers.pop('Authorization', None)
            late = isinstance(exc, etcd3gw.exceptions.ConnectionTimeoutError)
            if not self._username or not (
                (late and token) or _is_about_login(exc)
            ):
                raise
        self._log_in()
        return super().post(url, *args, **kwargs)

    def _log_in(self):
        answer = super().post(self.get_url('/auth/authenticate'), json={
            'name': self._username, 'password': self._password or '',
        })
        self.session.headers['Authorization'] = answer['token']


class EtcdBoard:
    """Each job is a key, and its owner another one, with a lease.

    :param client: :class:`Client`
    :param namespace: what keys begin with, below TaskFlow's own
    """

    failures = (etcd3gw.exceptions.Etcd3Exception, requests.RequestException)

    def __init__(self, client, namespace):
        self._client = client
        self._jobs = f'/taskflow/jobs/{namespace}/job'
        self._workers = f'/taskflow/jobs/{namespace}/worker.'

    def describe(self, failure):
        if isinstance(failure, etcd3gw.exceptions.Etcd3Exception):
            return f'{failure} {failure.detail_text or ""}'.strip()
        return str(failure)

    def ping(self):
        self._client.get(self._workers)

    def post(self, posting):
        return self._client.create(
            self._jobs + posting['uuid'] + _DATA,
            jsonutils.dumps({**posting, 'created_on': timeutils.utcnow()}),
        )

    def jobs(self):
        contents = self._below(self._jobs)
        found = jobs.recognised({
            name.removesuffix(_DATA): content
            for name, content in contents.items() if name.endswith(_DATA)
        }, self._job)
        return [
            (job, _owner(contents.get(name + _LOCK)))
            for name, job in found.items()
        ]

    def claim(self, job, token, expiry):
        lease = self._client.lease(ttl=expiry)
        claimed = self._commit(
            [_exists(job.key + _DATA, True), _exists(job.key + _LOCK, False)],
            {'request_put': {
                'key': _encoded(job.key + _LOCK), 'lease': lease.id,
                'value': _encoded(jsonutils.dumps(
                    {'owner': token, 'lease_id': lease.id}
                )),
            }},
        )
        if not claimed:
            lease.revoke()
        return claimed

    def owner_of(self, job):
        return _owner(self._lock_of(job))

    def extend(self, job, token, expiry):
        lock = self._lock_of(job)
        if _owner(lock) != token:
            return False
        lease = etcd3gw.Lease(
            jsonutils.loads(lock)['lease_id'], self._client
        )
        return lease.refresh() > 0

    def consume(self, job, token):
        return self._end(job, token, _DATA, _LOCK)

    def abandon(self, job, token):
        return self._end(job, token, _LOCK)

    def announce(self, name, text, seconds):
        self._client.put(
            self._workers + name, text, lease=self._client.lease(ttl=seconds)
        )

    def announced(self):
        return self._below(self._workers)

    def withdraw(self, name):
        self._client.delete(self._workers + name)

    def close(self):
        self._client.session.close()

    def _below(self, prefix):
        return {
            metadata['key'].decode(errors='replace').removeprefix(prefix):
            content for content, metadata in self._client.get_prefix(prefix)
        }

    def _job(self, name, content):
        posting = jsonutils.loads(content)
        return jobs.Job.of_posting(
            self._jobs + name, posting,
            timeutils.parse_strtime(posting['created_on']),
        )

    def _lock_of(self, job):
        found = self._client.get(job.key + _LOCK)
        return found[0] if found else None

    def _end(self, job, token, *postfixes):
        """Remove keys of a job in one step, if the claim is theirs by then."""
        lock = self._lock_of(job)
        return _owner(lock) == token and self._commit(
            [{
                'key': _encoded(job.key + _LOCK), 'result': 'EQUAL',
                'target': 'VALUE', 'value': _encoded(lock),
            }],
            *(
                {'request_delete_range': {'key': _encoded(job.key + each)}}
                for each in postfixes
            ),
        )

    def _commit(self, compare, *requests):
        return self._client.transaction({
            'compare': compare, 'success': requests, 'failure': [],
        }).get('succeeded', False)


def make(settings):
    """Return a jobboard, which is not connected yet.

    :param settings: :class:`~jobboard.JobboardOptions`
    """
    ((host, port),) = settings.hosts
    client = Client(
        username=settings.username, password=settings.password,
        session=_session(settings), host=host, port=port,
        protocol='https' if settings.tls else 'http',
    )
    return EtcdBoard(client, settings.namespace)


def _session(settings):
    session = requests.Session()
    # Neither a proxy nor a password of other services.
    session.trust_env = False
    system = ssl.get_default_verify_paths()
    session.verify = (
        settings.ca_file or system.cafile or system.capath or True
    )
    if settings.cert_file:
        session.cert = settings.cert_file, settings.key_file
    return session


def _exists(key, expected):
    """Return the condition that a key exists, or that it does not."""
    return {
        'key': _encoded(key), 'target': 'CREATE', 'create_revision': 0,
        'result': 'GREATER' if expected else 'EQUAL',
    }


def _owner(lock):
    return None if lock is None else jobs.owner_of_lock(lock)


def _encoded(content):
    return base64.encode_as_text(content)


def _is_about_login(error):
    words = error.detail_text or ''
    return 'auth' in words or 'user name is empty' in words
