# SPDX-License-Identifier: Apache-2.0

"""TaskFlow's jobboard in redis, asked for many jobs at a time."""

from oslo_utils import timeutils
import redis.backoff
import redis.retry
from taskflow.jobs import base
from taskflow.jobs.backends import impl_redis

from glance_copy_plugin.jobboard import board_base

# A jobboard that does not answer must not hold a request, or the renewal of
# a claim.
_ANSWER_SECONDS = 3.0
_WORKER = 'worker.'


class RedisBoard(impl_redis.RedisJobBoard, board_base.Kind):
    """As TaskFlow's, which would ask once or more for each job."""

    @classmethod
    def _make_client(cls, conf):
        client = super()._make_client(conf)
        # Of itself it would wait as long as this ten more times. Once more is
        # for a connection that a restarted server has closed.
        client.set_retry(redis.retry.Retry(redis.backoff.NoBackoff(), 1))
        return client

    @staticmethod
    def _decode_owner(value):
        if isinstance(value, bytes):
            value = value.decode(errors='replace')
        return None if value is None else board_base.readable_owner(value)

    def ping(self):
        """Return if the jobboard answers, having asked it."""
        with impl_redis._translate_failures():
            self._client.ping()

    def post_once(self, uuid, name, details, priority):
        """Put a job on the jobboard, unless one of this id is there."""
        posting = base.format_posting(
            uuid, name, created_on=timeutils.utcnow(), details=details,
            priority=priority,
        )
        with impl_redis._translate_failures():
            posting['sequence'] = self._client.incr(self.sequence_key)
            return bool(self._client.hsetnx(
                self.listings_key, uuid.encode(), self._dumps(posting)
            ))

    def postings(self):
        """Return (job, owner or None) for each job that is not done."""
        with impl_redis._translate_failures():
            found = self._client.hgetall(self.listings_key)
        jobs = board_base.readable(found, self._job)
        if not jobs:
            return []
        with impl_redis._translate_failures():
            owners = self._client.mget([job.owner_key for job in jobs])
        return [
            (job, self._decode_owner(owner))
            for job, owner in zip(jobs, owners, strict=True)
        ]

    def _job(self, key, content):
        said = self._loads(content)
        return impl_redis.RedisJob(
            self, said['name'], said['sequence'], key, uuid=said['uuid'],
            details=said['details'], created_on=said['created_on'],
            priority=base.JobPriority.convert(said['priority']),
        )

    def find_owner(self, job):
        """Return who has claimed a job, as the jobboard knows now, or None."""
        with impl_redis._translate_failures():
            owner = self._client.get(job.owner_key)
        return self._decode_owner(owner)

    def extend(self, job, who, expiry):
        """Renew a claim; False if it is not theirs."""
        # Renewing alone would not look whose claim it is.
        return self.find_owner(job) == who and job.extend_expiry(expiry)

    def announce(self, name, content, seconds):
        """Say something of a worker, which is forgotten unless repeated."""
        with impl_redis._translate_failures():
            self._client.set(
                self.join(_WORKER + name), content, px=int(seconds * 1000)
            )

    def announced(self):
        """Return ``{name: what was said}`` of the workers that live."""
        prefix = self.join(_WORKER)
        with impl_redis._translate_failures():
            keys = list(self._client.scan_iter(match=prefix + b'*', count=500))
            contents = self._client.mget(keys) if keys else []
        return {
            key.removeprefix(prefix).decode(errors='replace'): content
            for key, content in zip(keys, contents, strict=True)
            if content is not None
        }

    def withdraw(self, name):
        """A worker lives no more."""
        with impl_redis._translate_failures():
            self._client.delete(self.join(_WORKER + name))


def make(name, settings):
    """Return a jobboard, which is not connected yet.

    :param settings: :class:`~options.Settings`
    """
    ((host, port),) = settings.hosts
    conf = {
        'host': host,
        'port': port,
        'db': settings.database,
        'username': settings.username,
        'password': settings.password,
        'namespace': settings.namespace,
        'socket_timeout': _ANSWER_SECONDS,
        'socket_connect_timeout': _ANSWER_SECONDS,
        'ssl': settings.tls,
    }
    if settings.tls:
        conf |= {
            'ssl_cert_reqs': 'required',
            'ssl_ca_certs': settings.ca_file,
            'ssl_certfile': settings.cert_file,
            'ssl_keyfile': settings.key_file,
        }
    return RedisBoard(
        name, {key: value for key, value in conf.items() if value is not None}
    )
