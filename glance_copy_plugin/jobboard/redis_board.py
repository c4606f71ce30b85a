# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""TaskFlow's board in redis, asked for many jobs at a time."""

import json

from taskflow.jobs.backends import impl_redis

# A board that does not answer must not hold a request, or a claim's renewal.
_ANSWER_SECONDS = 5.0
_WORKER = 'worker.'


class RedisBoard(impl_redis.RedisJobBoard):
    """As TaskFlow's, which would ask once or more for each job."""

    def postings(self):
        """Return (job, owner or None) for each job that is not done."""
        jobs = self._fetch_jobs()
        if not jobs:
            return []
        with impl_redis._translate_failures():
            owners = self._client.mget([job.owner_key for job in jobs])
        return [
            (job, owner and self._decode_owner(owner))
            for job, owner in zip(jobs, owners, strict=True)
        ]

    def find_owner(self, job):
        """Return who has claimed a job, or None."""
        with impl_redis._translate_failures():
            owner = self._client.get(job.owner_key)
        return owner and self._decode_owner(owner)


    def announce(self, name, content, seconds):
        """Say something of a worker, which is forgotten unless repeated."""
        with impl_redis._translate_failures():
            self._client.set(
                self.join(_WORKER + name), json.dumps(content),
                px=int(seconds * 1000),
            )

    def announced(self):
        """Return ``{name: what was said}`` of the workers that live."""
        prefix = self.join(_WORKER)
        with impl_redis._translate_failures():
            keys = list(self._client.scan_iter(match=prefix + b'*', count=500))
            contents = self._client.mget(keys) if keys else []
        return {
            key.removeprefix(prefix).decode(): json.loads(content)
            for key, content in zip(keys, contents, strict=True)
            if content is not None
        }

    def withdraw(self, name):
        """A worker lives no more."""
        with impl_redis._translate_failures():
            self._client.delete(self.join(_WORKER + name))


def make(name, settings):
    """Return a board, which is not connected yet.

    :param settings: :class:`~options.Settings`
    """
    conf = {
        'host': settings.host,
        'port': settings.port,
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
