# SPDX-License-Identifier: Apache-2.0

"""A real ZooKeeper for tests, on loopback, in a folder of its own."""

import contextlib
import json
import pathlib

from kazoo import client as kazoo
from kazoo import security
from kazoo.handlers import threading as handlers
from taskflow.jobs.backends import impl_zookeeper

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

    @contextlib.contextmanager
    def client(self):
        """Yield a client that is connected and logged in."""
        client = kazoo.KazooClient(
            f'127.0.0.1:{self.port}',
            auth_data=[('digest', f'{self.user}:{self.password}')],
            default_acl=security.CREATOR_ALL_ACL,
        )
        client.start(timeout=60)
        try:
            yield client
        finally:
            client.stop()
            client.close()

    def write_job(self, namespace, key, content):
        """Put something among the jobs."""
        with self.client() as client:
            client.create(
                f'/taskflow/{namespace}/jobs/job{key.int}',
                json.dumps(content).encode(), makepath=True,
            )

    def write_owner(self, namespace, job, content):
        """Claim a job with these bytes."""
        with self.client() as client:
            client.create(f'{job.key}.lock', content)

    def write_worker(self, namespace, content):
        """Announce a worker with these bytes."""
        with self.client() as client:
            client.create(
                f'/taskflow/{namespace}/workers/x', content, makepath=True
            )

    @contextlib.contextmanager
    def taskflow_board(self, namespace):
        """Yield TaskFlow's own board."""
        with self.client() as client:
            board = impl_zookeeper.ZookeeperJobBoard(
                'taskflow', {
                    'path': f'/taskflow/{namespace}/jobs',
                    'check_compatible': False,
                }, client=client,
            )
            board.connect()
            yield board
            board.close()

    def taskflow_job(self, board, job):
        """Return the only job that TaskFlow's board has."""
        (found,) = board.iterjobs(ensure_fresh=True)
        assert found.uuid == job.uuid
        return found

    def taskflow_claim(self, board, job, who):
        """Claim a job with TaskFlow's board, as long as it is connected."""
        board.claim(job, who)

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
