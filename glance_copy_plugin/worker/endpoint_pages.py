# SPDX-License-Identifier: Apache-2.0

"""What the HTTP endpoint of a worker says."""

import os
import pathlib
import time

import prometheus_client
from prometheus_client import core
from prometheus_client import multiprocess
import webob
import webob.dec

from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.worker import metrics


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
        except board_.JobboardUnreachable as exc:
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
        self._forget_dead()
        return list(self._collector.collect())

    def values(self):
        """Return the numbers that have no labels, by name."""
        return {
            sample.name: sample.value for metric in self.collect()
            for sample in metric.samples if not sample.labels
        }

    def _forget_dead(self):
        """Keep what dead processes have counted, but not what they were."""
        for path in self._folder.glob('gauge_live*.db'):
            pid = int(path.stem.rpartition('_')[2])
            if not _is_ours(pid):
                multiprocess.mark_process_dead(pid, str(self._folder))


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
        except board_.JobboardUnreachable:
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
