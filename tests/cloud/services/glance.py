# SPDX-License-Identifier: Apache-2.0

"""The Glance under test: it asks Keystone, and has stores in the cloud."""

import pathlib
import shutil
import socket
import sys

from tests.cloud.services import conf
from tests.cloud.services import errors
from tests.cloud.services import install
from tests.cloud.services import rootwrap
from tests.cloud.services import stores
from tests.harness import GlanceServer

NAME = 'glance'


class CloudGlance(GlanceServer):
    """A Glance of the tests' own virtual environment.

    :param cloud: ``Cloud``, which runs
    :param name: of its folder and database
    :param given: {store: {'driver': driver, option: value}}; file stores
        come first, and the first store is the default backend
    :param settings: {group: {option: value}} laid over the configuration
    :param keep: keep what an earlier one has left in folder and database
    :param options: more for :class:`tests.harness.GlanceServer`
    """

    auth = 'authtoken'

    def __init__(
        self, cloud, name, given, settings=None, keep=False, **options
    ):
        name = f'{name}{cloud.place.share}'
        self._bindings = install.own_bindings(cloud.place)
        _require_host_name()
        self.cloud, self._name = cloud, name
        folder = cloud.place.path(NAME, name)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        self.temporary = folder / 'tmp'
        self.temporary.mkdir(parents=True, exist_ok=True)
        database = cloud.database.existing if keep else cloud.database.empty
        drivers = {store: each['driver'] for store, each in given.items()}
        groups = self._groups(folder, given)
        for group, values in (settings or {}).items():
            groups.setdefault(group, {}).update(values)
        super().__init__(
            folder,
            stores=[each for each in drivers if drivers[each] == 'file'],
            backends={
                store: driver for store, driver in drivers.items()
                if driver != 'file'
            },
            settings=groups,
            **{
                'database_url': database(f'{NAME}_{name}'),
                'graceful_timeout': 5, 'threads': 8, **options,
            },
        )

    def process_environment(self):
        """Return the environment variables of its processes."""
        venv = pathlib.Path(sys.prefix)
        more = {
            **super().process_environment(),
            'TMPDIR': str(self.temporary),
        }
        # The programs that os-brick starts are looked for in this PATH.
        more['PATH'] = self.cloud.processes.environment(venv)['PATH']
        more['PYTHONPATH'] += f':{self._bindings}'
        return more

    def launch(self):
        """Start it; whoever stops the cloud finds it."""
        super().launch()
        self.cloud.processes.record(f'{NAME}-{self._name}', self.pid)

    def temporary_files(self):
        """Return what is in its temporary folder and serves nothing.

        The sockets of the daemon that os-brick keeps for privileged work
        stay as long as Glance does.
        """
        return [
            path for path in self.temporary.rglob('*')
            if path.is_file() and path.name != 'privsep.sock'
        ]

    def _write_conf(self):
        self.conf.touch(mode=0o600)
        super()._write_conf()

    def _groups(self, folder, given):
        place = self.cloud.place
        its_rootwrap = rootwrap.write(folder)
        groups = {
            # Not the account of its stores, whose password tests change.
            'keystone_authtoken': conf.authtoken(place, 'cinder'),
            'os_brick': {'lock_path': folder / 'locks'},
            'DEFAULT': {'show_multiple_locations': 'true'},
        }
        for store, options in given.items():
            groups[store] = dict(options)
            if groups[store].pop('driver').startswith('cinder'):
                groups[store].setdefault(
                    'rootwrap_config', its_rootwrap
                )
        return groups


def _require_host_name():
    """Tell early what glance_store's cinder driver finds out while writing.

    It looks up the address of its own machine.
    """
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        raise errors.CloudError(
            f'The name of this machine, {name}, has no address; put it into '
            '/etc/hosts, as glance_store cannot attach volumes without it.'
        ) from None


def serve(cloud):
    """Start a Glance for trying things, unless it runs; return its address.

    It is where the catalogue says, and runs until the cloud is stopped.
    """
    address = cloud.place.url(NAME)
    if cloud.processes.alive(NAME):
        return address
    cloud.processes.stop(NAME)
    server = CloudGlance(
        cloud, 'by_hand', stores.usual(cloud), keep=True
    )
    server.port = cloud.place.port(NAME)
    server.start()
    cloud.processes.record(NAME, server.pid)
    return address
