# SPDX-License-Identifier: Apache-2.0

"""A real redis for tests, on loopback, in a folder of its own."""

import contextlib
import json

from oslo_serialization import msgpackutils
import redis
from taskflow.jobs.backends import impl_redis

from tests.harness import boards


class Redis(boards.Server):
    """A redis server with a password, in which the tests use database 1."""

    kind = 'redis'
    program = 'redis-server'
    package = 'redis-server'
    failures = (redis.RedisError,)

    @property
    def url(self):
        """Its address, without the password."""
        return f'{super().url}/1'

    def client(self):
        """Return a client that is logged in."""
        trusted = str(self.certificate[0]) if self.certificate else None
        return redis.Redis(
            host='127.0.0.1', port=self.port, db=1, password=self.password,
            ssl=bool(trusted), ssl_ca_certs=trusted,
        )

    def write_job(self, namespace, key, content):
        """Put something among the jobs, msgpack or plain nonsense."""
        with self.client() as client:
            client.hset(
                f'{namespace}:listings', str(key),
                json.dumps(content) if content == 'nonsense'
                else msgpackutils.dumps(content),
            )

    def write_owner(self, namespace, job, content):
        """Claim a job with these bytes."""
        with self.client() as client:
            client.set(f'{namespace}:'.encode() + job.key + b'.owned', content)

    def write_worker(self, namespace, content):
        """Announce a worker, whose name is nonsense, with these bytes."""
        with self.client() as client:
            client.set(f'{namespace}:worker.'.encode() + b'\xffx', content)

    @contextlib.contextmanager
    def taskflow_board(self, namespace):
        """Yield TaskFlow's own board."""
        with self.client() as client:
            board = impl_redis.RedisJobBoard(
                'taskflow', {'namespace': namespace}, client=client
            )
            board.connect()
            yield board

    def taskflow_job(self, board, job):
        """Return the only job that TaskFlow's board has."""
        (found,) = board.iterjobs(ensure_fresh=True)
        assert found.uuid == job.uuid
        return found

    def taskflow_claim(self, board, job, who):
        """Claim a job with TaskFlow's board."""
        board.claim(job, who, expiry=30)

    def _command(self):
        return [self.program, self._conf]

    @property
    def _conf(self):
        return self.folder / 'redis.conf'

    def _prepare(self):
        # In a file: a command line is there for all to read.
        boards.write_secret(
            self._conf,
            f'bind 127.0.0.1\n{self._listening()}dir {self.data}\n'
            f'requirepass {self.password}\nappendonly yes\n'
            'appendfsync always\nsave ""\n',
        )

    def _listening(self):
        if not self.certificate:
            return f'port {self.port}\n'
        file, key = self.certificate
        return (
            f'port 0\ntls-port {self.port}\ntls-cert-file {file}\n'
            f'tls-key-file {key}\ntls-ca-cert-file {file}\n'
            'tls-auth-clients no\n'
        )

    def _ask(self):
        with self.client() as client:
            client.ping()
