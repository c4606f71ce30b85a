# SPDX-License-Identifier: Apache-2.0

"""The examples of the specification of several Cinder stores, word by word.

Only the name of the driver is another. What the examples take for granted is
made for them: Keystone at port 80, the user ``glance`` with its password, the
volume types, and rootwrap's configuration.
"""

import configparser
import pathlib
import shutil

import pytest

from tests.cloud import cinder_parts
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import glance as cloud_glance
from tests.cloud.services import identity
from tests.cloud.services import place as places
from tests.cloud.services import rootwrap
from tests.cloud.services import wsgi
from tests.cloud.test_cinder_glance import relocate
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.usefixtures('nothing_left')

ROOTWRAP = pathlib.Path('/etc/glance/rootwrap.conf')
FRESH = """\
[DEFAULT]
# list of enabled stores identified by their property group name
enabled_backends = fast:cinder,slow:cinder
# the default store, if not set glance-api service will not start
[glance_store]
default_backend = fast
# conf props for fast store instance
[fast]
rootwrap_config = /etc/glance/rootwrap.conf
cinder_volume_type = glance-fast
description = Really fast and expensive storage
cinder_catalog_info = volumev2::publicURL
cinder_store_auth_address = http://localhost/identity/v3
cinder_store_user_name = glance
cinder_store_password = admin
cinder_store_project_name = service
# etc..
# conf props for slow store instance
[slow]
rootwrap_config = /etc/glance/rootwrap.conf
cinder_volume_type = glance-slow
description = Slower but less expensive storage
cinder_catalog_info = volumev2::publicURL
cinder_store_auth_address = http://localhost/identity/v3
cinder_store_user_name = glance
cinder_store_password = admin
cinder_store_project_name = service
# etc..
"""
UPGRADED = """\
[DEFAULT]
enabled_backends = old:cinder, new:cinder
[glance_store]
default_backend = new
[new]
rootwrap_config = /etc/glance/rootwrap.conf
cinder_volume_type = glance-new
description = Newly defined second (cinder) store
cinder_catalog_info = volumev2::publicURL
cinder_store_auth_address = http://localhost/identity/v3
cinder_store_user_name = glance
cinder_store_password = admin
cinder_store_project_name = service
# etc..
[old]
rootwrap_config = /etc/glance/rootwrap.conf
cinder_volume_type = glance-old # as per old cinder.conf
description = Previously existing (cinder) store
cinder_catalog_info = volumev2::publicURL
cinder_store_auth_address = http://localhost/identity/v3
cinder_store_user_name = glance
cinder_store_password = admin
cinder_store_project_name = service
# etc..
"""
DESCRIPTIONS = {
    'fast': 'Really fast and expensive storage',
    'slow': 'Slower but less expensive storage',
    'new': 'Newly defined second (cinder) store',
    'old': 'Previously existing (cinder) store',
}
PORT = 80
PASSWORD = 'admin'


class ExampleGlance(cloud_glance.CloudGlance):
    """A Glance whose stores are those of an example, and nothing else.

    :param example: its text
    :param stores: the names of its stores
    """

    def __init__(self, cloud, name, example, stores):
        super().__init__(
            cloud, name, {store: {'driver': DRIVER} for store in stores}
        )
        self._example = example.replace(':cinder', f':{DRIVER}')

    def _write_conf(self):
        super()._write_conf()
        parser = configparser.RawConfigParser(default_section='none')
        parser.optionxform = str
        parser.read(self.conf)
        parser.remove_option('DEFAULT', 'enabled_backends')
        parser.remove_section('glance_store')
        for store in self.backends:
            parser.remove_section(store)
        with self.conf.open('w') as stream:
            parser.write(stream)
        # One of the files that Glance looks for in its folder.
        more = self.conf.with_name('glance-image-import.conf')
        more.touch(mode=0o600)
        more.write_text(self._example)


@pytest.fixture(scope='module')
def keystone(cloud):
    """Keystone at the address of the examples."""
    if not places.is_free(PORT):
        pytest.skip(f'port {PORT} is used by another program')
    folder = cloud.place.path('keystone')
    venv, name = cloud.place.folder / 'venv', 'keystone-80'
    cloud.processes.start(
        name,
        wsgi.command(venv, PORT, folder),
        cloud.processes.environment(venv, {
            'OS_KEYSTONE_CONFIG_FILES': str(folder / 'keystone.conf'),
            'OS_KEYSTONE_CONFIG_DIR': str(folder),
            'SCRIPT_NAME': '/identity',
        }),
    )
    cloud.processes.wait(name, lambda: not places.is_free(PORT))
    yield
    cloud.processes.stop(name, timeout=10)


@pytest.fixture(scope='module')
def account(cloud, keystone):
    """The user of the examples, with its password."""
    with identity.connect(cloud.place) as admin:
        user = admin.identity.find_user('glance')
        admin.identity.update_user(user, password=PASSWORD)
        yield
        admin.identity.update_user(
            user, password=cloud.place.password('glance')
        )


@pytest.fixture(scope='module')
def types(cloud):
    """The volume types of the second example."""
    cinder = cloud.cinder()
    made = []
    for name, backend in (('glance-old', 'fast'), ('glance-new', 'slow')):
        made.append(cinder.volume_types.create(name))
        made[-1].set_keys({'volume_backend_name': backend})
    yield
    for each in made:
        cinder.volume_types.delete(each)


@pytest.fixture
def usual_rootwrap():
    """The configuration of rootwrap at its usual place."""
    if ROOTWRAP.exists():
        pytest.skip(f'{ROOTWRAP} is there already')
    made = not ROOTWRAP.parent.exists()
    ROOTWRAP.parent.mkdir(exist_ok=True)
    assert rootwrap.write(ROOTWRAP.parent) == ROOTWRAP
    yield
    shutil.rmtree(ROOTWRAP.with_name('rootwrap.d'))
    ROOTWRAP.unlink()
    if made:
        ROOTWRAP.parent.rmdir()


@pytest.fixture
def start(cloud, account, usual_rootwrap):
    """Give a function that starts a Glance with an example."""
    running = []

    def begin(name, example, stores):
        server = ExampleGlance(cloud, name, example, stores)
        running.append(server)
        server.start()
        return server, Client(server, cloud.token('admin'))

    yield begin
    for server in running:
        server.__exit__(None)


def check(cloud, server, client, types_):
    """Store an image in each store, read it, and look where it is."""
    described = {
        store['id']: store.get('description')
        for store in client.demand('GET', '/info/stores').json()['stores']
    }
    cinder = cloud.cinder()
    for store, volume_type in types_.items():
        assert described[store] == DESCRIPTIONS[store]
        content = helpers.data(5 * MIB)
        image_id = client.create_image(content, store=store)
        url = helpers.rows(server, image_id)[store]
        volume = cinder.volumes.get(cinder_parts.volume_of(url))
        assert url == f'cinder://{store}/{volume.id}'
        assert volume.volume_type == volume_type
        assert client.download(image_id) == content
        delete(cloud, client, image_id, url)


def delete(cloud, client, image_id, url):
    """Delete an image; wait for that, as it is in the project of services."""
    client.delete(image_id)
    cinder_parts.wait_gone(cloud.cinder(), cinder_parts.volume_of(url))


def test_the_example_of_a_fresh_deployment_works(cloud, start):
    server, client = start('example-fresh', FRESH, ['fast', 'slow'])
    check(cloud, server, client, {
        'fast': 'glance-fast', 'slow': 'glance-slow',
    })
    image_id = client.create_image(b'to the default')
    assert client.stores(image_id) == ['fast']
    url = helpers.rows(server, image_id)['fast']
    delete(cloud, client, image_id, url)


def test_the_example_of_an_upgrade_works(cloud, types, start):
    server, client = start('example-upgrade', UPGRADED, ['old', 'new'])
    check(cloud, server, client, {
        'old': 'glance-old', 'new': 'glance-new',
    })
    content = helpers.data(MIB)
    image_id = client.create_image(content, store='old')
    volume_id = cinder_parts.volume_of(helpers.rows(server, image_id)['old'])
    relocate(server, image_id, f'cinder://{volume_id}', None)
    assert client.stores(image_id) == ['old']
    assert helpers.rows(server, image_id) == {
        'old': f'cinder://old/{volume_id}'
    }
    assert client.download(image_id) == content
    delete(cloud, client, image_id, f'cinder://old/{volume_id}')
