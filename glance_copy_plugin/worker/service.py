# SPDX-License-Identifier: Apache-2.0

"""The service that makes the copies which others have posted."""

import os
import socket
import threading

from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin.api import image_service
from glance_copy_plugin.backends import stores
from glance_copy_plugin.flow import run
from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.jobboard import job
from glance_copy_plugin.records import connections
from glance_copy_plugin.worker import claim_loop
from glance_copy_plugin.worker import lease_renewer
from glance_copy_plugin.worker import processes
from glance_copy_plugin.worker import registration

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# Of the time in which a worker has to stop, what its copies may take.
_SHARE_OF_COPIES = 0.8
# A transaction may wait so many seconds for what a slow board answers.
_SHORTEST_TRANSACTION = 15


class Worker(processes.Process):
    """One process that claims jobs and makes their copies.

    :param config_dir: directory of ``glance-api.conf``
    :param concurrency: how many copies run at the same time
    :param endpoint: :class:`~endpoint.Endpoint`, or None
    """

    def __init__(self, config_dir, concurrency, endpoint=None):
        super().__init__()
        self._endpoint = endpoint
        self._loading = threading.Lock()
        self._config_dir = config_dir
        self._concurrency = concurrency
        self._stopping = threading.Event()
        self._renewer = None
        self._claim_loop = None
        self._registration = None

    def start(self):
        """Load the Image service, and begin to look for jobs."""
        with self._loading:
            image_service.load_service(self._config_dir)
        logging.setup(CONF, 'glance-copy-worker')
        board = board_.of_process()
        connections.limit_idle_transactions(
            max(board.expiry, _SHORTEST_TRANSACTION)
        )
        name = f'{socket.gethostname()}:{os.getpid()}'
        self._renewer = lease_renewer.LeaseRenewer(board.expiry)
        self._renewer.start()
        # Asked once: a driver that cannot be loaded would be tried each time.
        found = job.Stores(
            names=tuple(stores.names()),
            writable=tuple(filter(stores.is_writable, stores.names())),
        )
        if self._endpoint:
            self._endpoint.count(found.writable)
        self._registration = registration.Registration(board, name, found)
        self._registration.start()
        self._claim_loop = claim_loop.ClaimLoop(
            name, board, self._renewer, found, self._concurrency
        )
        LOG.info('Worker %s makes %d copies', name, self._concurrency)
        threading.Thread(
            target=self._claim_loop.run, name='copy-image-claim-loop',
            daemon=True,
        ).start()

    def reset(self):
        """Read those options again that can change while it runs."""
        with self._loading:
            super().reset()

    def wait(self):
        """Return when the worker has stopped."""
        self._stopping.wait()

    def stop(self, graceful=True):
        """Claim nothing more; leave the copies that run to other workers."""
        LOG.info('This worker stops; its copies are left to others')
        if self._claim_loop is None:
            # Told so while it was still loading the Image service.
            self._stopping.set()
            return
        self._claim_loop.stop()
        seconds = (CONF.graceful_shutdown_timeout or 60) * _SHARE_OF_COPIES
        if not run.suspend_all(seconds):
            LOG.warning('Some copies did not stop; they are taken over later')
        self._registration.stop()
        self._stopping.set()
