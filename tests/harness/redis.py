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

"""A real redis for tests, on loopback, in a folder of its own."""

import pathlib
import secrets
import shutil
import time

import redis

from tests.harness import process


class Unavailable(Exception):
    """There can be no redis here; the text says why."""


class Redis:
    """A redis server that keeps its data; starts and stops as a context.

    :param folder: where its data live
    :param certificate: (file, file of its key): speak TLS, and only that
    """

    def __init__(self, folder, certificate=None):
        self.folder = pathlib.Path(folder)
        self._certificate = certificate
        self.password = secrets.token_urlsafe(16)
        self.port = 0
        self._group = None

    @property
    def url(self):
        """Its address, without the password."""
        return f'redis://127.0.0.1:{self.port}/1'

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()

    def start(self):
        """Start it, on the same port each time; return when it answers."""
        if shutil.which('redis-server') is None:
            raise Unavailable(
                'redis is not installed (Debian: apt-get install '
                'redis-server)'
            )
        if not self.port:
            with process.listen() as listener:
                self.port = listener.getsockname()[1]
        self._write()
        self._group = process.ProcessGroup(
            ['redis-server', self._conf], self.folder / 'redis.log',
            self.folder, None,
        )
        self._wait(time.monotonic() + 30)
        return self

    def stop(self):
        """End it; what it has acknowledged stays."""
        if self._group:
            self._group.terminate(20)

    def kill(self):
        """End it at once, as a power cut does."""
        self._group.kill()

    def client(self):
        """Return a client that is logged in."""
        trusted = str(self._certificate[0]) if self._certificate else None
        return redis.Redis(
            host='127.0.0.1', port=self.port, db=1, password=self.password,
            ssl=bool(trusted), ssl_ca_certs=trusted,
        )

    @property
    def _conf(self):
        return self.folder / 'redis.conf'

    def _write(self):
        self._conf.touch(mode=0o600)
        # In a file: a command line is there for all to read.
        self._conf.write_text(
            f'bind 127.0.0.1\n{self._listening()}dir {self.folder}\n'
            f'requirepass {self.password}\nappendonly yes\n'
            'appendfsync always\nsave ""\n'
        )

    def _listening(self):
        if not self._certificate:
            return f'port {self.port}\n'
        file, key = self._certificate
        return (
            f'port 0\ntls-port {self.port}\ntls-cert-file {file}\n'
            f'tls-key-file {key}\ntls-ca-cert-file {file}\n'
            'tls-auth-clients no\n'
        )

    def _wait(self, deadline):
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError as error:
                ended = self._group.returncode() is not None
                if ended or time.monotonic() > deadline:
                    raise Unavailable(
                        f'redis did not start: {error}'
                    ) from None
                time.sleep(0.05)
