# SPDX-License-Identifier: Apache-2.0

"""The process that serves a worker's HTTP endpoint."""

import threading

from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.worker import processes

CONF = cfg.CONF
LOG = logging.getLogger(__name__)


class Exporter(processes.Process):
    """A process of its own, so that no thread runs where others are forked.

    :param endpoint: :class:`~endpoint.Endpoint`
    """

    def __init__(self, endpoint):
        super().__init__()
        self._endpoint = endpoint
        self._stopping = threading.Event()

    def start(self):
        """Begin to answer."""
        found = CONF[copy_image.GROUP]
        LOG.info(
            'Metrics and health are at port %(port)d of %(address)s',
            {
                'port': found.worker_metrics_port,
                'address': found.worker_metrics_address,
            },
        )
        threading.Thread(
            target=self._endpoint.serve, args=(board_.of_process(),),
            name='copy-image-endpoint', daemon=True,
        ).start()

    def wait(self):
        """Return when it has been told to stop."""
        self._stopping.wait()

    def stop(self, graceful=True):
        """Answer no more."""
        self._stopping.set()
