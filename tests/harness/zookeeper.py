# SPDX-License-Identifier: Apache-2.0

"""A real ZooKeeper for tests, on loopback, in a folder of its own."""

import pathlib

from kazoo import client as kazoo
from kazoo.handlers import threading as handlers

from tests.harness import boards

_LIBRARY = pathlib.Path('/usr/share/java/zookeeper.jar')
_MAIN = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'


class Zookeeper(boards.Server):
    """One ZooKeeper; whoever logs in owns what they write."""

    kind = 'zookeeper'
    program = 'java'
    package = 'zookeeper default-jre-headless'
    user = 'copier'
    failures = (handlers.KazooTimeoutError,)

    def start(self):
        """Start it, on the same port each time; return when it answers."""
        if not _LIBRARY.exists():
            raise boards.Unavailable(
                'ZooKeeper is not installed (Debian: apt-get install '
                f'{self.package})'
            )
        return super().start()

    @property
    def _conf(self):
        return self.folder / 'zoo.cfg'

    def _prepare(self):
        self._conf.write_text(
            f'dataDir={self.data}\nadmin.enableServer=false\n'
            'tickTime=1000\nminSessionTimeout=2000\n'
            'maxSessionTimeout=60000\nmaxClientCnxns=0\n'
            # Its disk is the one that all tests share.
            'forceSync=no\nskipACL=no\n' + self._listening()
        )

    def _listening(self):
        if not self.certificate:
            return f'clientPort={self.port}\nclientPortAddress=127.0.0.1\n'
        both = self.folder / 'server.pem'
        boards.write_secret(
            both, ''.join(path.read_text() for path in self.certificate)
        )
        return (
            f'secureClientPort={self.port}\n'
            'secureClientPortAddress=127.0.0.1\n'
            'serverCnxnFactory='
            'org.apache.zookeeper.server.NettyServerCnxnFactory\n'
            f'ssl.keyStore.location={both}\nssl.trustStore.location={both}\n'
            'ssl.clientAuth=none\n'
        )

    def _command(self):
        libraries = ':'.join(
            str(path) for path in (_LIBRARY, *_LIBRARY.parent.glob('netty*'))
        )
        return [
            self.program, '-Xmx128m', '-cp', libraries, _MAIN, self._conf
        ]

    def _ask(self):
        client = kazoo.KazooClient(
            f'127.0.0.1:{self.port}', use_ssl=bool(self.certificate),
            ca=self.certificate and str(self.certificate[0]),
        )
        try:
            client.start(timeout=2)
        finally:
            client.stop()
            client.close()
