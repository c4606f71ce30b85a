# SPDX-License-Identifier: Apache-2.0

"""What the processes of a worker count, for Prometheus.

Each process writes its numbers to files of its own, in a folder that belongs
to one ``glance-copy-worker``; whoever serves them adds them up. No label may
hold what a user chooses, such as an image: its values would be without end.
"""

import errno
import os
import pathlib
import shutil
import time

import prometheus_client
from prometheus_client import values

from glance_copy_plugin.transfer import instrumentation

PROCESSES = 'glance_copy_worker_processes'
LOOKED = 'glance_copy_worker_looked_timestamp_seconds'

# From a tiny image at once to a huge one over a slow line.
_SECONDS = (
    0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600, 1800, 3600, 7200, 21600, 86400,
)

# Bytes; a process has four files of 64 KiB.
_ROOM = 2 ** 20


class Metrics(instrumentation.Observer):
    """Counts what this process does.

    :param stores: names of the stores that it can write
    :param folder: where the files of all processes are
    :raises OSError: if there is no space for its files
    """

    def __init__(self, stores, folder):
        _check_space(folder)
        # The library looks for that when it is imported, which other
        # libraries of the Image service do before anybody knows the folder.
        os.environ['PROMETHEUS_MULTIPROC_DIR'] = folder
        values.ValueClass = values.MultiProcessValue()
        self._running = _gauge(
            'glance_copy_worker_copies_running', 'Copies that run now',
            'livesum',
        )
        self._copies = _counter(
            'glance_copy_worker_copies_total',
            'Copies that have ended here: done, failed, or left to another '
            'process', 'result',
            (
                instrumentation.DONE, instrumentation.FAILED,
                instrumentation.LEFT,
            ),
        )
        self._seconds = prometheus_client.Histogram(
            'glance_copy_worker_copy_seconds',
            'How long copies ran that were done', buckets=_SECONDS,
            registry=None,
        )
        self._bytes = _counter(
            'glance_copy_worker_store_bytes_total',
            'Bytes that a store has got, also those of copies that failed',
            'store', stores,
        )
        self._retries = _counter(
            'glance_copy_worker_retries_total',
            'How often reading an image, or writing a store, was tried again',
            'of', (instrumentation.READING, instrumentation.WRITING),
        )
        self._takeovers = prometheus_client.Counter(
            'glance_copy_worker_takeovers_total',
            'Copies carried on whose worker had ended without a word',
            registry=None,
        )
        self._looked = _gauge(
            LOOKED, 'When a process has looked for jobs, of that which did so '
            'the longest ago', 'livemin',
        )
        processes = _gauge(PROCESSES, 'Processes that make copies', 'livesum')
        _reserve(folder)
        processes.set(1)

    def looked(self):
        self._looked.set(time.time())

    def begun(self):
        self._running.inc()

    def ended(self, result, seconds):
        self._running.dec()
        self._copies.labels(result).inc()
        if result == instrumentation.DONE:
            self._seconds.observe(seconds)

    def received(self, store, count):
        self._bytes.labels(store).inc(count)

    def retried(self, what):
        self._retries.labels(what).inc()

    def taken_over(self):
        self._takeovers.inc()


def _gauge(name, text, mode):
    return prometheus_client.Gauge(
        name, text, multiprocess_mode=mode, registry=None
    )


def _counter(name, text, label, values):
    """Return a counter that starts with 0 for each of the label's values."""
    counter = prometheus_client.Counter(name, text, (label,), registry=None)
    for value in values:
        counter.labels(value)
    return counter


def _check_space(folder):
    """See that there is room for some files.

    They are mapped into memory: on a file system that is full, to write to
    them kills the process.
    """
    if shutil.disk_usage(folder).free < _ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _reserve(folder):
    """Take the space that the files of this process will ever need."""
    for path in pathlib.Path(folder).glob(f'*_{os.getpid()}.db'):
        with path.open('r+b') as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
