# SPDX-License-Identifier: Apache-2.0

"""Keystone: the users, their projects, and where the services are."""

from tests.cloud.services import conf
from tests.cloud.services import identity
from tests.cloud.services import wsgi

NAME = 'keystone'


class Keystone:
    """The identity service.

    :param processes: ``Processes``
    :param database: ``MariaDB``
    """

    def __init__(self, processes, database):
        self._processes = processes
        self._place = processes.place
        self._database = database
        self._application = wsgi.Application(
            processes, NAME, NAME, 'keystone.wsgi.api'
        )

    def up(self, venv):
        """Start it unless it runs; return once its users are there."""
        folder = self._place.make(NAME)
        path = folder / 'keystone.conf'
        conf.write(self._place, path, self._groups(folder))
        if not self._place.is_done('keystone-database'):
            self._bootstrap(venv, path, folder)
            self._place.done('keystone-database')
        started = self._application.start(venv, more={
            'OS_KEYSTONE_CONFIG_FILES': str(path),
            'OS_KEYSTONE_CONFIG_DIR': str(folder),
        })
        self._application.wait('/v3')
        if not self._place.is_done('keystone-users'):
            identity.create(self._place)
            self._place.done('keystone-users')
        return started

    def _groups(self, folder):
        return {
            'DEFAULT': {'public_endpoint': self._place.url(NAME)},
            'database': {'connection': self._database.url(NAME)},
            # A token is to outlive a long session of tests.
            'token': {'provider': 'fernet', 'expiration': '86400'},
            'fernet_tokens': {'key_repository': folder / 'fernet'},
            'identity': {'password_hash_rounds': '4'},
            'cache': {'enabled': 'true', 'backend': 'dogpile.cache.memory'},
        }

    def _bootstrap(self, venv, path, folder):
        fernet = folder / 'fernet'
        fernet.mkdir(exist_ok=True, mode=0o700)
        address = self._place.url(NAME, '/v3')

        def manage(*words):
            # The password is not to be seen in the list of processes.
            secret = {
                'OS_BOOTSTRAP_PASSWORD': self._place.password('admin'),
            }
            self._processes.run(
                'keystone-manage',
                [venv / 'bin' / 'keystone-manage', '--config-file', path,
                 *words],
                300, self._processes.environment(venv, secret),
            )

        manage('db_sync')
        manage('fernet_setup', '--keystone-user', 'root',
               '--keystone-group', 'root')
        manage(
            'bootstrap', '--bootstrap-region-id', conf.REGION,
            '--bootstrap-public-url', address,
            '--bootstrap-internal-url', address,
            '--bootstrap-admin-url', address,
        )
