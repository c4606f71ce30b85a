# SPDX-License-Identifier: Apache-2.0

"""What the real boards of the tests have in common."""

import pathlib
import secrets
import shutil
import time

from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.options import jobboard
from tests.harness import process


class Unavailable(Exception):
    """There can be no such server here; the text says why."""


class Server:
    """A server that keeps its data; starts and stops as a context.

    :param folder: where its data live
    :param certificate: (file, file of its key): speak TLS, and only that
    """

    kind = None
    program = None
    package = None
    # Who logs in with the password.
    user = None
    # What may be raised by asking a server that is not ready yet.
    failures = ()

    def __init__(self, folder, certificate=None):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / 'data'
        self.certificate = certificate
        self.password = secrets.token_urlsafe(16)
        self.port = 0
        self._group = None
        self._boards = []

    @property
    def url(self):
        """Its address, without the password."""
        user = f'{self.user}@' if self.user else ''
        return f'{self.kind}://{user}127.0.0.1:{self.port}'

    def settings(self, **other):
        """Return the product's settings of this board as a dict.

        :param other: what is not as usual in them
        """
        return {
            'kind': self.kind, 'hosts': (('127.0.0.1', self.port),),
            'database': 1, 'username': self.user, 'password': self.password,
            'tls': bool(self.certificate),
            'ca_file': self.certificate and str(self.certificate[0]),
            'cert_file': None, 'key_file': None, 'namespace': 'test',
            'expiry': 30, **other,
        }

    def board(self, **other):
        """Return a board of the product's that is kept there."""
        made = board_client.Board(
            jobboard.JobboardOptions(**self.settings(**other))
        )
        self._boards.append(made)
        return made

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        while self._boards:
            self._boards.pop().close()
        self.stop()

    def start(self):
        """Start it, on the same port each time; return when it answers."""
        if shutil.which(self.program) is None:
            raise Unavailable(
                f'{self.program} is not installed (Debian: apt-get install '
                f'{self.package})'
            )
        self.port = self.port or free_port()
        fresh = not self.data.exists()
        self.data.mkdir(exist_ok=True)
        self._prepare()
        self._group = process.start(
            self._command(), self.folder / f'{self.kind}.log', self.folder,
            None,
        )
        self._wait(time.monotonic() + 180)
        if fresh:
            self._set_up()
        return self

    def stop(self):
        """End it; what it has acknowledged stays."""
        if self._group:
            self.go_on()
            self._group.terminate(60)

    def kill(self):
        """End it at once, as a power cut does."""
        self._group.kill()

    def forget(self):
        """End it, and start it without its data."""
        self.kill()
        shutil.rmtree(self.data)
        self.start()

    def pause(self):
        """Stop the time for it: it takes requests and does not answer."""
        self._group.pause()

    def go_on(self):
        """Let its time run again."""
        self._group.go_on()

    def _wait(self, deadline):
        while True:
            try:
                self._ask()
                return
            except self.failures as error:
                ended = self._group.returncode() is not None
                if ended or time.monotonic() > deadline:
                    raise Unavailable(
                        f'{self.program} did not start: {error}'
                    ) from None
                time.sleep(0.05)

    def _prepare(self):
        """Write what it reads when it starts."""

    def _command(self):
        raise NotImplementedError

    def _ask(self):
        """Return if it is ready."""
        raise NotImplementedError

    def _set_up(self):
        """Make users, when it has just been started without data."""


def free_port():
    """Return a port of the loopback address that nobody listens on."""
    with process.listen() as listener:
        return listener.getsockname()[1]


def write_secret(path, text):
    """Write a file that nobody else can read."""
    path.touch(mode=0o600)
    path.write_text(text)
