# SPDX-License-Identifier: Apache-2.0

"""The jobboard in redis."""

from oslo_serialization import msgpackutils
from oslo_utils import timeutils
import redis
import redis.backoff
import redis.retry

from glance_copy_plugin.jobboard import jobs

# A jobboard that does not answer must not hold a request, or the renewal of
# a claim.
_ANSWER_SECONDS = 3.0
_WORKER = b'worker.'

# Of the key of the owner, and of the hash of all jobs.
_CLAIM = """
if redis.call('hexists', KEYS[2], ARGV[2]) == 0
    or not redis.call('set', KEYS[1], ARGV[1], 'nx', 'px', ARGV[3])
then
    return 0
end
return 1
"""
_IF_OWNER = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
"""
_EXTEND = _IF_OWNER + """
return redis.call('pexpire', KEYS[1], ARGV[3])
"""
_ABANDON = _IF_OWNER + """
return redis.call('del', KEYS[1])
"""
# TaskFlow's workers leave the third key, when a job was last touched.
_CONSUME = _IF_OWNER + """
redis.call('del', KEYS[1], KEYS[3])
return redis.call('hdel', KEYS[2], ARGV[2])
"""


class RedisBoard:
    """A hash of jobs; each owner in a key that expires.

    :param client: a ``redis.Redis``
    :param namespace: what keys begin with
    """

    failures = (redis.RedisError,)

    def __init__(self, client, namespace):
        self._client = client
        self._prefix = f'{namespace}:'.encode()
        self._jobs = self._prefix + b'listings'

    def describe(self, failure):
        return str(failure)

    def ping(self):
        self._client.ping()

    def post(self, posting):
        posting |= {
            'created_on': timeutils.utcnow(),
            'sequence': self._client.incr(self._prefix + b'sequence'),
        }
        return bool(self._client.hsetnx(
            self._jobs, posting['uuid'].encode(), msgpackutils.dumps(posting)
        ))

    def jobs(self):
        found = list(jobs.recognised(
            self._client.hgetall(self._jobs), _job
        ).values())
        if not found:
            return []
        owners = self._client.mget(map(self._owner_key, found))
        return list(zip(found, map(_owner, owners), strict=True))

    def claim(self, job, token, expiry):
        return self._run(_CLAIM, job, token, expiry)

    def owner_of(self, job):
        return _owner(self._client.get(self._owner_key(job)))

    def extend(self, job, token, expiry):
        return self._run(_EXTEND, job, token, expiry)

    def consume(self, job, token):
        return self._run(_CONSUME, job, token)

    def abandon(self, job, token):
        return self._run(_ABANDON, job, token)

    def announce(self, name, text, seconds):
        self._client.set(
            self._prefix + _WORKER + name.encode(), text, px=seconds * 1000
        )

    def announced(self):
        prefix = self._prefix + _WORKER
        keys = list(self._client.scan_iter(match=prefix + b'*', count=500))
        texts = self._client.mget(keys) if keys else []
        return {
            key.removeprefix(prefix).decode(errors='replace'): text
            for key, text in zip(keys, texts, strict=True)
            if text is not None
        }

    def withdraw(self, name):
        self._client.delete(self._prefix + _WORKER + name.encode())

    def close(self):
        self._client.close()

    def _owner_key(self, job):
        return self._prefix + job.key + b'.owned'

    def _run(self, script, job, token, expiry=0):
        return bool(self._client.register_script(script)(
            keys=[
                self._owner_key(job), self._jobs,
                self._prefix + job.key + b'.last_modified',
            ],
            args=[token, job.key, expiry * 1000],
        ))


def make(settings):
    """Return a jobboard, which is not connected yet.

    :param settings: :class:`~jobboard.JobboardOptions`
    """
    ((host, port),) = settings.hosts
    tls = {
        'ssl': True, 'ssl_cert_reqs': 'required',
        'ssl_ca_certs': settings.ca_file,
        'ssl_certfile': settings.cert_file,
        'ssl_keyfile': settings.key_file,
    }
    return RedisBoard(redis.Redis(
        host=host, port=port, db=settings.database,
        username=settings.username, password=settings.password,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
        # Once more is for a connection that a restarted server has closed.
        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1),
        # As it comes, the client asks for what old servers do not know.
        protocol=2,
        **(tls if settings.tls else {}),
    ), settings.namespace)


def _job(key, content):
    posting = msgpackutils.loads(content)
    return jobs.Job.of_posting(key, posting, posting['created_on'])


def _owner(value):
    if value is None:
        return None
    return jobs.readable_owner(value.decode(errors='replace'))
