# SPDX-License-Identifier: Apache-2.0

"""``/health`` and ``/metrics`` of a worker, served by a process of its own.

The port is opened before the processes of the worker are, so that one that
is in use ends the command at its start, and a process that serves it and
dies can be replaced.
"""

import contextlib
import os
import pathlib
import socket
import socketserver
import tempfile
import time
from wsgiref import simple_server

from oslo_log import log as logging
import prometheus_client
from prometheus_client import core
from prometheus_client import multiprocess
import webob
import webob.dec

from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.worker import metrics

LOG = logging.getLogger(__name__)


class Endpoint:
    """The open port, and the folder through which processes hand numbers on.

    :param server: :class:`Server`
    :param folder: the folder
    :param workers: how many processes make copies
    """

    def __init__(self, server, folder, workers):
        self._server = server
        self._folder = folder
        self._workers = workers

    def count(self, stores):
        """Count from now on what this process, one that makes copies, does.

        :param stores: names of the stores that it can write
        """
        # Only for the process that serves it, and for those that come after.
        self._server.server_close()
        try:
            instrumentation.use(metrics.Metrics(stores, self._folder))
        except OSError as exc:
            LOG.error(
                'Metrics of this process are missing: cannot write to '
                '%(folder)s: %(why)s',
                {'folder': self._folder, 'why': exc.strerror},
            )

    def serve(self, board):
        """Answer requests; does not return.

        :param board: :class:`Board`
        """
        LOG.info(
            'Serving /health and /metrics on port %(port)d of %(address)s',
            {
                'address': self._server.server_address[0],
                'port': self._server.server_port,
            },
        )
        self._server.set_app(Application(board, self._folder, self._workers))
        self._server.serve_forever()


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Answers each request in a thread of its own.

    :raises OSError: if the port cannot be opened
    """

    daemon_threads = True

    def __init__(self, address, port):
        if ':' in address:
            self.address_family = socket.AF_INET6
        super().__init__((address, port), _Handler)

    def handle_error(self, request, client_address):
        """A client has gone away."""
        LOG.debug('No answer to a request from %s', client_address)


class _Handler(simple_server.WSGIRequestHandler):

    # So long a client may take to say what it wants.
    timeout = 10

    def log_message(self, *args):
        LOG.debug(*args)


@contextlib.contextmanager
def opened(group, workers):
    """Open the port that the configuration asks for; close it at the end.

    :param group: the options of ``[copy_image]``
    :param workers: how many processes will make copies
    :returns: context that yields an :class:`Endpoint`
    :raises RuntimeError: in one sentence, if it cannot be opened
    """
    address, port = group.worker_metrics_address, group.worker_metrics_port
    try:
        server = Server(address, port)
    except OSError as exc:
        raise RuntimeError(
            f'[copy_image] worker_metrics_port {port} cannot be opened on '
            f'{address}: {exc.strerror}'
        ) from None
    with server, tempfile.TemporaryDirectory(
        prefix='glance-copy-worker-', dir=os.environ.get('RUNTIME_DIRECTORY'),
    ) as folder:
        yield Endpoint(server, folder, workers)


class Application:
    """The WSGI application behind the port.

    :param board: :class:`Board`
    :param folder: where processes leave their numbers
    :param workers: how many processes there should be
    """

    def __init__(self, board, folder, workers):
        self._board = board
        self._workers = workers
        self._processes = Processes(folder)
        registry = prometheus_client.CollectorRegistry()
        registry.register(self._processes)
        registry.register(Jobs(board))
        self._metrics = prometheus_client.make_wsgi_app(registry)

    @webob.dec.wsgify
    def __call__(self, request):
        if request.path == '/metrics':
            return self._metrics
        if request.path == '/health':
            why = self.obstacle()
            return webob.Response(
                text=f'{why or "this worker claims copies"}\n',
                status=503 if why else 200, content_type='text/plain',
            )
        return webob.Response(status=404, text='/health or /metrics\n')

    def obstacle(self):
        """Say why this worker does not claim copies; None if it does."""
        try:
            self._board.ping()
        except board_client.JobboardUnreachable as exc:
            return f'jobboard unreachable: {exc}'
        found = self._processes.values()
        ready = int(found.get(metrics.PROCESSES, 0))
        if ready < self._workers:
            return f'{ready} of {self._workers} processes are ready'
        looked = found[metrics.LOOKED]
        seconds = time.time() - looked
        if not looked:
            return 'a process has not looked for copies yet'
        if seconds > self._board.expiry:
            return (
                f'a process has not looked for copies for {seconds:.0f} '
                'seconds'
            )
        return None


class Processes:
    """The sum of what the processes of a worker have counted.

    :param folder: where their files are
    """

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._collector = multiprocess.MultiProcessCollector(None, folder)

    def collect(self):
        """Return metrics, as Prometheus asks its collectors for them."""
        # What dead processes have counted is kept, but not what they were.
        for path in self._folder.glob('gauge_live*.db'):
            pid = int(path.stem.rpartition('_')[2])
            if not _is_ours(pid):
                multiprocess.mark_process_dead(pid, str(self._folder))
        return list(self._collector.collect())

    def values(self):
        """Return the numbers that have no labels, by name."""
        return {
            sample.name: sample.value for metric in self.collect()
            for sample in metric.samples if not sample.labels
        }


def _is_ours(pid):
    """True if that process lives, and is one of this worker's."""
    try:
        return os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return False


class Jobs:
    """What is on the jobboard, which is the same for all workers.

    :param board: :class:`Board`
    """

    def __init__(self, board):
        self._board = board

    def collect(self):
        """Return metrics, as Prometheus asks its collectors for them."""
        up = core.GaugeMetricFamily(
            'glance_copy_board_up', 'Whether the jobboard answers'
        )
        try:
            owners = [owner for _job, owner in self._board.jobs()]
            workers = len(self._board.workers())
        except board_client.JobboardUnreachable:
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        jobs = core.GaugeMetricFamily(
            'glance_copy_board_jobs', 'Copies on the jobboard',
            labels=['state'],
        )
        waiting = owners.count(None)
        jobs.add_metric(('waiting',), waiting)
        jobs.add_metric(('claimed',), len(owners) - waiting)
        return [up, jobs, core.GaugeMetricFamily(
            'glance_copy_board_workers',
            'Processes of all workers that live', workers,
        )]
