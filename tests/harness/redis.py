# SPDX-License-Identifier: Apache-2.0

"""A real redis for tests, on loopback, in a folder of its own."""

import redis

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
