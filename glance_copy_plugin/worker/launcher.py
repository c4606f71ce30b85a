# SPDX-License-Identifier: Apache-2.0

"""What ``glance-copy-worker`` does: start processes, or show them."""

import collections
import contextlib
import importlib

import cotyledon
from cotyledon import oslo_config_glue
from glance import version
from oslo_config import cfg
from oslo_log import log as logging
from oslo_reports import guru_meditation_report as gmr
from oslo_reports import opts as gmr_opts
from oslo_service import backend

from glance_copy_plugin.api import image_service
from glance_copy_plugin.api import validation
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import job_lease
from glance_copy_plugin.worker import processes

CONF = cfg.CONF


def check_configuration(config_dir):
    """Read the configuration; load nothing of the Image service.

    :param config_dir: directory of ``glance-api.conf``
    :raises RuntimeError: if no worker can work with it, in one sentence
    """
    image_service.read_config(config_dir)
    copy_image.register_opts(CONF)
    if not board_client.is_enabled():
        raise RuntimeError(
            '[copy_image] jobboard_connection is not set: without a jobboard, '
            'the Image service makes its copies by itself'
        )
    validation.check_values(CONF)
    board_client.of_process()


def serve(config_dir, workers, concurrency):
    """Keep that many processes running until told to stop.

    :param concurrency: copies of each process at the same time
    :raises RuntimeError: if they cannot be started, in one sentence
    :raises SystemExit: when they have ended
    """
    logging.setup(CONF, 'glance-copy-worker')
    # For libraries of drivers, which otherwise want eventlet.
    backend.init_backend(backend.BackendType.THREADING)
    gmr_opts.set_defaults(CONF)
    # The processes inherit what answers the signal (SIGUSR2).
    gmr.TextGuruMeditation.setup_autorun(
        version.version_info, service_name='glance-copy-worker', conf=CONF
    )
    with _endpoint(workers) as endpoint:
        manager = cotyledon.ServiceManager()
        oslo_config_glue.setup(manager, CONF, reload_method='mutate')
        manager.add(
            processes.Worker, workers, (config_dir, concurrency, endpoint)
        )
        if endpoint:
            manager.add(processes.EndpointProcess, args=(endpoint,))
        manager.run()


def _endpoint(workers):
    """Return a context that yields the endpoint, or None if none is wanted.

    :raises RuntimeError: if its library is not installed, in one sentence
    """
    group = CONF[copy_image.GROUP]
    if not group.worker_metrics_port:
        return contextlib.nullcontext()
    try:
        endpoint = importlib.import_module(
            'glance_copy_plugin.worker.endpoint'
        )
    except ImportError as exc:
        raise RuntimeError(
            '[copy_image] worker_metrics_port needs a library that is not '
            f'installed ({exc.name}): install glance-copy-plugin[metrics]'
        ) from None
    return endpoint.opened(group, workers)


def status(out):
    """Write which workers live, and what is on the jobboard.

    :param out: a stream for people to read
    :returns: 0 if workers live, 1 if none does, 2 if the jobboard is silent
    """
    try:
        workers = board_client.of_process().workers()
        jobs = board_client.of_process().jobs()
    except board_client.JobboardUnreachable as exc:
        out.write(f'Jobboard unreachable: {exc}\n')
        return 2
    claims = collections.Counter(
        job_lease.worker_of(owner) for _job, owner in jobs if owner is not None
    )
    for name, found in sorted(workers.items()):
        out.write(
            f'{name}: copies: {claims.pop(name, 0)}; writes '
            f'{", ".join(found.writable) or "no store"}\n'
        )
    for name, count in sorted(claims.items()):
        out.write(f'{name}: gone; copies not yet taken over: {count}\n')
    waiting = sum(owner is None for _job, owner in jobs)
    out.write(f'workers: {len(workers)}; copies that wait: {waiting}\n')
    return int(not workers)
