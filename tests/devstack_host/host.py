# SPDX-License-Identifier: Apache-2.0
"""A folder that looks to the plugin like a host that runs stack.sh."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from tests.harness import database
from tests.harness import GlanceServer
from tests.harness import process

HERE = pathlib.Path(__file__).resolve().parent
STOCK = pathlib.Path(sys.prefix) / 'etc' / 'glance'
PLUGIN = process.ROOT / 'devstack'
CONFIGURE = ('stack install', 'stack post-config')
STACK = (*CONFIGURE, 'stack extra')
FLAVOR = 'keystone+cachemanagement'
TOKENS = 'keystonemiddleware.auth_token:filter_factory'


class PhaseFailed(Exception):
    """A phase ended with an error; the text is what it has printed."""


class DevStack:
    """Configures a Glance as DevStack does, and calls the plugin.

    :param folder: for everything; the configuration is in ``etc``
    :param localrc: lines of shell, as in ``local.conf``
    :param services: what is enabled
    """

    def __init__(self, folder, localrc='', services=('g-api', 'c-api')):
        self.folder = pathlib.Path(folder).resolve()
        self.localrc = localrc
        self.services = services
        self.etc = self.folder / 'etc'
        self.conf = self.etc / 'glance-api.conf'
        self.paste = self.etc / 'glance-api-paste.ini'
        self.data = self.folder / 'data'
        self.volume_types = self.folder / 'volume-types'
        self.processes = self.folder / 'processes'
        self._calls = self.folder / 'calls'
        for made in (
            self.etc, self.data, self.volume_types, self.processes,
        ):
            made.mkdir(parents=True)
        self._calls.touch()
        self.port = _free_port()
        shutil.copy(STOCK / self.conf.name, self.conf)

    def configure_glance(self, stores=''):
        """Do DevStack's own part: options, a new paste file.

        :param stores: names of the file stores that it makes, with commas
        """
        text = (STOCK / self.paste.name).read_text()
        assert TOKENS in text
        # Nobody confirms tokens here. Everything else is stock.
        self.paste.write_text(text.replace(
            TOKENS, 'tests.harness.token_filter:filter_factory'
        ))
        url = f'http://127.0.0.1:{self.port}'
        self.run_shell('\n'.join(
            f'iniset {self.conf} {setting}' for setting in (
                f'database connection {database.sqlite_url(self.folder)}',
                f'paste_deploy flavor {FLAVOR}',
                f'DEFAULT image_cache_dir {self.data}/cache/',
                f'DEFAULT public_endpoint {url}',
                f'DEFAULT worker_self_reference_url {url}',
                'DEFAULT use_stderr true',
                f'oslo_concurrency lock_path {self.data}/locks',
                *self._stores(stores),
            )
        ))

    def _stores(self, stores):
        if not stores:
            return [
                f'glance_store filesystem_store_datadir {self.data}/images/'
            ]
        names = stores.split(',')
        backends = ','.join(f'{name}:file' for name in names)
        return [
            f'DEFAULT enabled_backends {backends}',
            f'glance_store default_backend {names[0]}',
            *(f'{name} filesystem_store_datadir {self.data}/{name}/'
              for name in names),
        ]

    def make_database(self):
        """Make the tables, without which ``glance-copy check`` fails."""
        database.sync(self.conf, database.sqlite_url(self.folder))

    def without_check(self):
        """Have the commands do nothing: they would load Glance."""
        programs = self.folder / 'programs'
        programs.mkdir()
        for name in ('glance-copy', 'glance-copy-worker'):
            (programs / name).symlink_to('/bin/true')
        self.localrc += f'\nGLANCE_BIN_DIR={programs}'

    def run(self, *phases):
        """Call the plugin once for each phase, in one shell.

        :raises PhaseFailed: if one of them fails, which ends the shell
        """
        return self.run_shell('\n'.join([
            self.localrc,
            f'source {PLUGIN}/settings',
            *(f'source {PLUGIN}/plugin.sh {phase}' for phase in phases),
        ]))

    def run_shell(self, script):
        """Run a script in DevStack's environment; return what it prints."""
        done = subprocess.run(
            ['bash', '-o', 'errexit', '-c', f'{self._functions()}\n{script}'],
            env=self._environment(), cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise PhaseFailed(done.stdout)
        return done.stdout

    def running(self):
        """Return ``{service: process id}`` of what was started."""
        return {
            path.stem: int(path.read_text())
            for path in self.processes.glob('*.pid')
        }

    def end(self):
        """End whatever still runs."""
        for pid in self.running().values():
            # At its very start it is not yet the leader of a group.
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)

    def calls(self, name):
        """Return the recorded calls of a function or command."""
        lines = self._calls.read_text().splitlines()
        return [line for line in lines if line.partition(' ')[0] == name]

    def files(self):
        """Return the configuration files as ``{name: bytes}``."""
        return {
            path.name: path.read_bytes() for path in self.etc.iterdir()
            if path.is_file()
        }

    def value(self, section, option, file=None):
        """Return an option as it stands in a file, None if it does not."""
        path = file or self.conf
        here = ''
        for line in path.read_text().splitlines():
            if line.startswith('['):
                here = line.strip('[]')
            name, equals, value = line.partition('=')
            if (here, name.strip(), equals) == (section, option, '='):
                return value.strip()
        return None

    @staticmethod
    def _functions():
        return f'source {HERE}/functions'

    def _environment(self):
        programs = pathlib.Path(sys.executable).parent
        return {
            'PATH': os.pathsep.join(
                [str(HERE), str(programs), os.environ['PATH']]
            ),
            'HOME': str(self.folder),
            'PYTHONPATH': str(process.ROOT),
            'XDG_CACHE_HOME': str(self.folder / 'cache'),
            'CALLS': str(self._calls),
            'VOLUME_TYPES': str(self.volume_types),
            'PROCESSES': str(self.processes),
            'ENABLED_SERVICES': ','.join(self.services),
            'DEST': str(self.folder),
            'DATA_DIR': str(self.data),
            'GLANCE_COPY_DIR': str(process.ROOT),
            'GLANCE_BIN_DIR': str(programs),
            'GLANCE_CONF_DIR': str(self.etc),
            'GLANCE_API_CONF': str(self.conf),
            'GLANCE_API_PASTE_INI': str(self.paste),
            'KEYSTONE_SERVICE_URI': 'http://127.0.0.1/identity',
            'REGION_NAME': 'RegionOne',
            'SERVICE_HOST': '127.0.0.1',
            'SERVICE_PASSWORD': 'devstack-secret',
            'SERVICE_PROJECT_NAME': 'service',
            'SSL_BUNDLE_FILE': '/opt/stack/data/ca-bundle.pem',
        }


class DevStackGlance(GlanceServer):
    """The Glance of a :class:`DevStack`, from the files as they are."""

    def __init__(self, devstack, **options):
        super().__init__(devstack.folder, **options)
        self.port = devstack.port
        self._devstack = devstack

    def _write(self):
        database.sync(self.conf, self.database_url)
        self.places = {
            store: pathlib.Path(self._devstack.value(
                store, 'filesystem_store_datadir'
            ))
            for store in self.stores
        }


def _free_port():
    with process.listen() as listener:
        return listener.getsockname()[1]
