# SPDX-License-Identifier: Apache-2.0

"""TaskFlow's jobboard in etcd, without its watcher and its cache."""

import contextlib
import ssl

import etcd3gw
import etcd3gw.exceptions
import etcd3gw.lease
from oslo_serialization import base64
from oslo_serialization import jsonutils
from oslo_utils import timeutils
import requests
from taskflow import exceptions
from taskflow.jobs import base
from taskflow.jobs.backends import impl_etcd

from glance_copy_plugin.jobboard import board_base

# A jobboard that does not answer must not hold a request, or the renewal of
# a claim.
_ANSWER_SECONDS = 3.0
_API = '/v3/'
_WORKER = 'worker.'


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


class EtcdBoard(impl_etcd.EtcdJobBoard, board_base.Kind):
    """As TaskFlow's, whose cache would go stale with its only connection.

    :param client: :class:`Client`
    """

    def ping(self):
        """Return if the jobboard answers, having asked it."""
        with _translated():
            self._client.get(self._path(self.SEQUENCE_KEY))

    def post_once(self, uuid, name, details, priority):
        """Put a job on the jobboard, unless one of this id is there."""
        posting = base.format_posting(
            uuid, name, created_on=timeutils.utcnow(), details=details,
            priority=priority,
        )
        with _translated():
            return self._client.create(
                self._path(self.JOB_PREFIX + uuid + self.DATA_POSTFIX),
                jsonutils.dumps(posting),
            )

    def postings(self):
        """Return (job, owner or None) for each job that is not done."""
        with _translated():
            found = {
                _name(metadata): value
                for value, metadata in self._client.get_prefix(
                    self._path(self.JOB_PREFIX)
                )
            }
        jobs = board_base.readable({
            name.removesuffix(self.DATA_POSTFIX): value
            for name, value in found.items()
            if name.endswith(self.DATA_POSTFIX)
        }, self._job)
        return [
            (job, _owner(found.get(job.key + self.LOCK_POSTFIX)))
            for job in jobs
        ]

    def claim(self, job, who, expiry):
        """Take a job, if it is there and nobody has it."""
        with _translated():
            super().claim(job, who, expiry)

    def set_last_modified(self, job):
        """Nobody reads it, and it could outlive the job."""

    def find_owner(self, job):
        """Return who has claimed a job, as the jobboard knows now, or None."""
        with _translated():
            return _owner(self.get_one(job.key + self.LOCK_POSTFIX))

    def extend(self, job, who, expiry):
        """Renew a claim; False if it is not theirs."""
        with _translated():
            held = self.get_one(job.key + self.LOCK_POSTFIX)
            if _owner(held) != who:
                return False
            # Not the job's, which may be that of another claim.
            lease = etcd3gw.lease.Lease(
                jsonutils.loads(held)['lease_id'], self._client
            )
            return lease.refresh() > 0

    def consume(self, job, who):
        """Take a job off the jobboard; ``NotFound`` if that was done."""
        self._end(job, who, [self.DATA_POSTFIX, self.LOCK_POSTFIX])

    def abandon(self, job, who):
        """Give a job back; ``NotFound`` if it is gone."""
        self._end(job, who, [self.LOCK_POSTFIX])

    def announce(self, name, content, seconds):
        """Say something of a worker, which is forgotten unless repeated."""
        with _translated():
            self._client.put(
                self._path(_WORKER + name), content,
                lease=self._client.lease(ttl=seconds),
            )

    def announced(self):
        """Return ``{name: what was said}`` of the workers that live."""
        prefix = self._path(_WORKER)
        with _translated():
            return {
                _name(metadata).removeprefix(prefix): value
                for value, metadata in self._client.get_prefix(prefix)
            }

    def withdraw(self, name):
        """A worker lives no more."""
        with _translated():
            self._client.delete(self._path(_WORKER + name))

    def _path(self, name):
        return self._create_path(self._root_path, name)

    def _job(self, key, value):
        said = jsonutils.loads(value)
        return impl_etcd.EtcdJob(
            self, said['name'], self._client, key, uuid=said['uuid'],
            details=said['details'],
            priority=base.JobPriority.convert(said['priority']),
            created_on=timeutils.parse_strtime(said['created_on']),
        )

    def _end(self, job, who, postfixes):
        """Remove what belongs to a job, if the claim is theirs by then."""
        lock = job.key + self.LOCK_POSTFIX
        with _translated():
            held = self.get_one(lock)
            if _owner(held) != who or not self._remove_if(
                lock, held, [job.key + postfix for postfix in postfixes]
            ):
                raise exceptions.NotFound(f'{who} has no job {job.uuid}')

    def _remove_if(self, name, value, names):
        """Remove keys in one step, if one of them has still this value."""
        encode = base64.encode_as_text
        return self._client.transaction({
            'compare': [{
                'key': encode(name), 'result': 'EQUAL', 'target': 'VALUE',
                'value': encode(value),
            }],
            'success': [
                {'request_delete_range': {'key': encode(each)}}
                for each in names
            ],
            'failure': [],
        }).get('succeeded', False)


def make(name, settings):
    """Return a jobboard, which is not connected yet.

    :param settings: :class:`~options.Settings`
    """
    ((host, port),) = settings.hosts
    client = Client(
        username=settings.username, password=settings.password,
        session=_session(settings), host=host, port=port,
        protocol='https' if settings.tls else 'http',
    )
    return EtcdBoard(name, {'path': settings.namespace}, client=client)


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


def _name(metadata):
    return metadata['key'].decode(errors='replace')


def _owner(value):
    return None if value is None else board_base.owner_of_lock(value)


def _is_about_login(error):
    words = error.detail_text or ''
    return 'auth' in words or 'user name is empty' in words


@contextlib.contextmanager
def _translated():
    try:
        yield
    except etcd3gw.exceptions.Etcd3Exception as exc:
        raise exceptions.JobFailure(
            f'etcd: {exc} {exc.detail_text or ""}'.strip()
        ) from None
    except requests.RequestException as exc:
        raise exceptions.JobFailure(f'etcd: {exc}') from None
