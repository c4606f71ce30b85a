# SPDX-License-Identifier: Apache-2.0

"""A real etcd for tests, on loopback, in a folder of its own."""

import base64
import contextlib
import json

import etcd3gw
import requests
from taskflow.jobs.backends import impl_etcd

from tests.harness import boards

# All that the tests' user may touch: namespaces that begin so.
_KEYS = ('/taskflow/jobs/test', '/taskflow/jobs/tesu')


class Etcd(boards.Server):
    """An etcd that knows who asks, and lets that user touch its keys only."""

    kind = 'etcd'
    program = 'etcd'
    package = 'etcd-server'
    user = 'copier'
    failures = (requests.RequestException,)

    def __init__(self, folder, certificate=None):
        super().__init__(folder, certificate)
        self._peers = 0

    def client(self):
        """Return a client that is logged in."""
        session = requests.Session()
        answer = requests.post(
            f'{self._address}/v3/auth/authenticate', timeout=60,
            json={'name': self.user, 'password': self.password},
        )
        session.headers['Authorization'] = answer.json()['token']
        return etcd3gw.Etcd3Client(
            port=self.port, api_path='/v3/', session=session
        )

    def write_job(self, namespace, key, content):
        """Put something among the jobs."""
        self.client().put(
            f'/taskflow/jobs/{namespace}/job{key}.data', json.dumps(content)
        )

    def write_owner(self, namespace, job, content):
        """Claim a job with these bytes."""
        self.client().put(f'{job.key}.lock', content)

    def write_worker(self, namespace, content):
        """Announce a worker with these bytes."""
        self.client().put(f'/taskflow/jobs/{namespace}/worker.x', content)

    @contextlib.contextmanager
    def taskflow_board(self, namespace):
        """Yield TaskFlow's own board."""
        yield impl_etcd.EtcdJobBoard(
            'taskflow', {'path': namespace}, client=self.client()
        )

    def taskflow_job(self, board, job):
        """Return what TaskFlow's board would know of a job.

        Its own listing demands a sequence, which jobs here never had.
        """
        return impl_etcd.EtcdJob(
            board, 'copy-image', self.client(), job.key, uuid=job.uuid
        )

    def taskflow_claim(self, board, job, who):
        """Claim a job with TaskFlow's board."""
        board.claim(job, who, expiry=30)

    def _prepare(self):
        self._peers = self._peers or boards.free_port()

    def _command(self):
        peers = f'http://127.0.0.1:{self._peers}'
        command = [
            self.program, '--data-dir', self.data, '--log-level', 'error',
            '--listen-client-urls', self._address,
            '--advertise-client-urls', self._address,
            '--listen-peer-urls', peers,
            '--initial-advertise-peer-urls', peers,
            '--initial-cluster', f'default={peers}',
        ]
        if self.certificate:
            file, key = self.certificate
            command += ['--cert-file', file, '--key-file', key]
        return command

    @property
    def _address(self):
        scheme = 'https' if self.certificate else 'http'
        return f'{scheme}://127.0.0.1:{self.port}'

    def _ask(self):
        answer = requests.get(
            f'{self._address}/health', verify=self._trusted, timeout=60
        )
        answer.raise_for_status()

    @property
    def _trusted(self):
        return str(self.certificate[0]) if self.certificate else True

    def _set_up(self):
        first, behind = (
            base64.b64encode(key.encode()).decode() for key in _KEYS
        )
        for path, body in (
            ('user/add', {'name': 'root', 'password': self.password}),
            ('user/grant', {'user': 'root', 'role': 'root'}),
            ('user/add', {'name': self.user, 'password': self.password}),
            ('role/add', {'name': 'copies'}),
            ('role/grant', {'name': 'copies', 'perm': {
                'permType': 'READWRITE', 'key': first, 'range_end': behind,
            }}),
            ('user/grant', {'user': self.user, 'role': 'copies'}),
            ('enable', {}),
        ):
            requests.post(
                f'{self._address}/v3/auth/{path}', json=body,
                verify=self._trusted, timeout=60,
            ).raise_for_status()
