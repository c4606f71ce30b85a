# SPDX-License-Identifier: Apache-2.0

"""The processes of ``glance-copy-worker``, as oslo.service keeps them."""

from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import backend

# Which has to be said before the service is imported.
backend.init_backend(backend.BackendType.THREADING)

from oslo_service import service  # noqa: E402

CONF = cfg.CONF
LOG = logging.getLogger(__name__)


class Launcher(service.ProcessLauncher):
    """Keeps processes, which stay when they are told to reload (SIGHUP).

    oslo.service would end them and start others, so that each copy would
    begin again for a change of the log's level.
    """

    def __init__(self):
        super().__init__(CONF, restart_method='mutate')

    def wait(self):
        """Keep them until told to stop; return the exit status."""
        self._manager.register_hooks(on_new_worker=_reload_in_place)
        return super().wait()


class Process(service.Service):
    """What each process is, whatever it does."""

    def reset(self):
        """Read those options again that can change while it runs."""
        CONF.mutate_config_files()
        LOG.debug('The configuration was read again')


def _reload_in_place(_service_id, _worker_id, wrapper):
    wrapper.reload = wrapper.service_instance.reset
