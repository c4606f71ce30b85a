# SPDX-License-Identifier: Apache-2.0

"""Swift: a proxy, and one server each of accounts, containers and objects.

They keep everything once, in a folder.
"""

from tests.cloud.services import conf
from tests.cloud.services import identity
from tests.cloud.services import install
from tests.cloud.services import wsgi

KINDS = ('account', 'container', 'object')
# Who has one of these roles owns the account of the project.
ROLES = 'member, service'
RESELLER = 'admin'
# Swift reads one file from a folder of the system, unless it is told here.
PROGRAM = """\
import sys
from swift.common import utils
utils.SWIFT_CONF_FILE = {common!r}
from swift.{module}.server import main
sys.argv = {arguments!r}
main()
"""
PIPELINE = (
    'catch_errors', 'gatekeeper', 'listing_formats', 'authtoken',
    'keystoneauth', 'copy', 'container-quotas', 'account-quotas', 'slo',
    'dlo', 'proxy-server',
)
FILTERS = {
    'catch_errors': 'catch_errors', 'gatekeeper': 'gatekeeper',
    'listing_formats': 'listing_formats', 'keystoneauth': 'keystoneauth',
    'copy': 'copy', 'container-quotas': 'container_quotas',
    'account-quotas': 'account_quotas', 'slo': 'slo', 'dlo': 'dlo',
}


class Swift:
    """The object store of the cloud.

    :param processes: ``Processes``
    :param name: of the proxy; another one serves the same objects
    """

    def __init__(self, processes, name='swift'):
        self._name = name
        self._processes = processes
        self._place = processes.place

    @property
    def url(self):
        """The HTTP address; an account comes behind it."""
        return self._place.url(self._name)

    def up(self):
        """Start it, unless it runs; return once it answers."""
        venv = install.venv_of(self._place)
        self._configure(venv)
        for name in (self._name, *map(_storage_name, KINDS)):
            self._processes.start(
                name, [venv / 'bin/python', self._path(f'run_{name}.py')],
                self._processes.environment(venv),
            )
        self._processes.wait(
            self._name, lambda: wsgi.answers(f'{self.url}/info')
        )
        if not self._place.is_done('swift-endpoint'):
            identity.create_service(
                self._place, 'object-store', 'swift',
                f'{self.url}/v1/AUTH_%(project_id)s',
            )
            self._place.done('swift-endpoint')

    def stop(self):
        """Stop the proxy; what it has acknowledged stays."""
        self._processes.stop(self._name)

    def _path(self, *names):
        return self._place.path('swift', *names)

    def _configure(self, venv):
        conf.write(self._place, self._path('common.conf'), {'swift-hash': {
            'swift_hash_path_suffix': self._place.password('swift-hash'),
        }})
        for kind in KINDS:
            self._make_ring(venv, kind)
            self._write(_storage_name(kind), kind, _storage(kind))
        self._write(self._name, 'proxy', self._proxy())

    def _write(self, name, kind, groups):
        path = self._path(f'{name}.conf')
        conf.write(self._place, path, {
            'DEFAULT': {
                'bind_ip': '127.0.0.1',
                'bind_port': str(self._place.port(name)),
                'workers': '0',
                'swift_dir': str(self._path()),
                'devices': str(self._path('devices')),
                'mount_check': 'false',
                'user': 'root',
            },
            **groups,
        })
        self._path(f'run_{name}.py').write_text(PROGRAM.format(
            common=str(self._path('common.conf')),
            module='obj' if kind == 'object' else kind,
            arguments=[f'swift-{kind}-server', str(path), 'verbose'],
        ))

    def _make_ring(self, venv, kind):
        self._path('devices', 'disk').mkdir(parents=True, exist_ok=True)
        step = f'swift-ring-{kind}'
        if self._place.is_done(step):
            return
        port = self._place.port(_storage_name(kind))
        for words in (
            ('create', '4', '1', '1'),
            ('add', f'r1z1-127.0.0.1:{port}/disk', '1'),
            ('rebalance',),
        ):
            self._processes.run('swift-ring', [
                venv / 'bin/swift-ring-builder',
                self._path(f'{kind}.builder'), *words,
            ])
        self._place.done(step)

    def _proxy(self):
        return {
            'pipeline:main': {'pipeline': ' '.join(PIPELINE)},
            'app:proxy-server': {
                'use': 'egg:swift#proxy',
                'account_autocreate': 'true',
            },
            **{f'filter:{name}': {'use': f'egg:swift#{factory}'}
               for name, factory in FILTERS.items()},
            'filter:keystoneauth': {
                'use': 'egg:swift#keystoneauth',
                'operator_roles': ROLES,
                'reseller_admin_role': RESELLER,
            },
            'filter:authtoken': {
                'paste.filter_factory':
                    'keystonemiddleware.auth_token:filter_factory',
                'delay_auth_decision': 'true',
                **conf.authtoken(self._place, 'swift'),
            },
        }


def _storage_name(kind):
    return f'swift-{kind}'


def _storage(kind):
    return {
        'pipeline:main': {'pipeline': f'{kind}-server'},
        f'app:{kind}-server': {'use': f'egg:swift#{kind}'},
    }
