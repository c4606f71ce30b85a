# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Starting the processes of ``glance-copy-worker``."""

from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin import opts
from glance_copy_plugin.cli import check
from glance_copy_plugin.jobboard import board
from glance_copy_plugin.jobboard import worker

CONF = cfg.CONF


def check_configuration(config_dir):
    """Read the configuration; load nothing of the Image service.

    :param config_dir: directory of ``glance-api.conf``
    :raises RuntimeError: if no worker can work with it, in one sentence
    """
    check.read_config(config_dir)
    opts.register_opts(CONF)
    if not board.is_enabled():
        raise RuntimeError(
            '[copy_image] jobboard_connection is not set: without a board, '
            'the Image service makes its copies by itself'
        )
    board.of_process()


def serve(config_dir, workers, concurrency):
    """Keep that many processes running until told to stop.

    :param concurrency: copies of each process at the same time
    :returns: the exit status
    """
    logging.setup(CONF, 'glance-copy-worker')
    launcher = worker.service.ProcessLauncher(CONF, restart_method='mutate')
    launcher.launch_service(
        worker.Worker(config_dir, concurrency), workers=workers
    )
    return launcher.wait()
