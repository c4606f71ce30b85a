# SPDX-License-Identifier: Apache-2.0

"""The options of the HTTP endpoint of ``glance-copy-worker``."""

from oslo_config import cfg

ENDPOINT_OPTS = [
    cfg.PortOpt(
        'worker_metrics_port',
        default=0,
        help="""
Port on which ``glance-copy-worker`` answers over HTTP.

``/health`` answers 200 while all processes of the worker claim copies, and 503
with a sentence otherwise; ``/metrics`` is for Prometheus. One port stands for
all processes that one ``glance-copy-worker`` has started. Needs the extra
``metrics`` of the package.

Possible values:
    * 0: there is no endpoint
    * A port that is free on the worker's host
"""),
    cfg.HostAddressOpt(
        'worker_metrics_address',
        default='127.0.0.1',
        help="""
Address on which ``worker_metrics_port`` is opened.

Nobody has to log in there. What is shown are numbers and the names of stores,
never an image or a project. If it has to be reached from other hosts, let only
those in that ask for it.
"""),
]
