# SPDX-License-Identifier: Apache-2.0

"""The processes of ``glance-copy-worker``, as cotyledon keeps them."""

import os
import socket
import threading

import cotyledon
from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin.api import image_service
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.ownership import running_copies
from glance_copy_plugin.records import database
from glance_copy_plugin.worker import claim_loop
from glance_copy_plugin.worker import periodic_work

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# Of the time in which a worker has to stop, what its copies may take.
_SHARE_OF_COPIES = 0.8
# A transaction may wait so many seconds for what a slow board answers.
_SHORTEST_TRANSACTION = 15


class Worker(cotyledon.Service):
    """One process that claims jobs and makes their copies.

    :param config_dir: directory of ``glance-api.conf``
    :param concurrency: how many copies run at the same time
    :param endpoint: :class:`~endpoint.Endpoint`, or None
    """

    def __init__(self, worker_id, config_dir, concurrency, endpoint):
        super().__init__(worker_id)
        self._endpoint = endpoint
        self._loading = threading.Lock()
        self._config_dir = config_dir
        self._concurrency = concurrency
        self._claim_loop = None
        self._registration = None

    def run(self):
        """Load the Image service; claim jobs until told to stop."""
        with self._loading:
            image_service.load_service(self._config_dir)
        logging.setup(CONF, 'glance-copy-worker')
        board = board_client.of_process()
        database.limit_idle_transactions(
            max(board.expiry, _SHORTEST_TRANSACTION)
        )
        name = f'{socket.gethostname()}:{os.getpid()}'
        renewer = periodic_work.LeaseRenewer(board.expiry)
        renewer.start()
        # Asked once: a driver that cannot be loaded would be tried each time.
        found = jobs.Stores(
            names=tuple(drivers.store_names()),
            writable=tuple(
                filter(drivers.is_writable, drivers.store_names())
            ),
        )
        if self._endpoint:
            self._endpoint.count(found.writable)
        self._registration = periodic_work.Registration(board, name, found)
        self._registration.start()
        self._claim_loop = claim_loop.ClaimLoop(
            name, board, renewer, found, self._concurrency
        )
        LOG.info(
            'Worker %(name)s claims jobs; at most %(count)d copies at a time',
            {'name': name, 'count': self._concurrency},
        )
        self._claim_loop.run()

    def reload(self):
        """Read those options again that can change while it runs."""
        with self._loading:
            _reload()

    def terminate(self):
        """Claim nothing more; leave the copies that run to other workers."""
        LOG.info('This worker stops; other workers carry its copies on')
        if self._claim_loop is None:
            # Told so while it was still loading the Image service.
            return
        self._claim_loop.stop()
        seconds = (CONF.graceful_shutdown_timeout or 60) * _SHARE_OF_COPIES
        if not running_copies.of_process().suspend(seconds):
            LOG.warning('Some copies did not stop; they are taken over later')
        self._registration.stop()


class EndpointProcess(cotyledon.Service):
    """A process of its own, so that no thread runs where others are forked.

    :param endpoint: :class:`~endpoint.Endpoint`
    """

    def __init__(self, worker_id, endpoint):
        super().__init__(worker_id)
        self._endpoint = endpoint

    def run(self):
        """Answer requests until told to stop."""
        self._endpoint.serve(board_client.of_process())

    def reload(self):
        """Read those options again that can change while it runs."""
        _reload()


def _reload():
    """Do not end the process, and each copy with it, as cotyledon would."""
    CONF.mutate_config_files()
    LOG.debug('The configuration was read again')
