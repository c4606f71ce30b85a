# SPDX-License-Identifier: Apache-2.0

"""Logins of the driver ``cinder_multi``, with the real Keystone."""

from concurrent import futures
import contextlib
import socket
import threading
import uuid

from glance_store import capabilities
from glance_store import exceptions
from oslo_context import context
import pytest

from tests.cloud import cinder_parts
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import conf
from tests.cloud.services import place as places
from tests.cloud.services import stores as given
from tests.cloud.services import wsgi
from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.irods_server import certificate

pytestmark = pytest.mark.usefixtures('nothing_left')

ADD = capabilities.BitMasks.WRITE_ACCESS
TOKEN_SECONDS = 5


@pytest.fixture
def tls(cloud, tmp_path):
    """TLS in front of Keystone: give its port and its certificate."""
    context, trusted = certificate.make(tmp_path)
    target = cloud.place.port('keystone')
    with socket.create_server(('127.0.0.1', 0)) as listener:
        threading.Thread(
            target=_serve, args=(listener, context, target), daemon=True
        ).start()
        yield listener.getsockname()[1], trusted
        # Closing alone would leave the thread in accept.
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener, context, target):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(
            target=_tunnel, args=(connection, context, target), daemon=True
        ).start()


def _tunnel(connection, context, target):
    try:
        plain = context.wrap_socket(connection, server_side=True)
    except OSError:
        # The client does not trust it.
        connection.close()
        return
    with plain, socket.create_connection(('127.0.0.1', target)) as behind:
        back = threading.Thread(target=_pump, args=(behind, plain))
        back.start()
        _pump(plain, behind)
        back.join()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def types_seen(store):
    return {each.name for each in store.client().volume_types.list()}


@pytest.mark.fails_with_stock('all volumes go to the project of the first')
def test_two_stores_of_two_users_use_their_own_projects(
    cloud, open_stores, block
):
    stores = open_stores(
        one=given.cinder(cloud, 'glance-fast', driver=DRIVER),
        two=given.cinder(
            cloud, 'glance-fast', user='glance2', driver=DRIVER
        ),
    )
    urls = {name: stores.add(name, b'1234')[1] for name in ('one', 'two')}
    for name, user in (('one', 'glance'), ('two', 'glance2')):
        assert [volume.id for volume in block(user).volumes.list()] == [
            cinder_parts.volume_of(urls[name])
        ]
        assert stores.read(name, urls[name]) == b'1234'
    for name, url in urls.items():
        stores.delete(name, url)


def test_an_application_credential_is_a_login(cloud, open_stores):
    ac_id, secret = cloud.application_credential(
        'glance', str(uuid.uuid4())
    )
    told = given.cinder(cloud, 'glance-fast', driver=DRIVER)
    for name in ('user_name', 'password', 'project_name'):
        del told[f'cinder_store_{name}']
    told['cinder_store_application_credential_id'] = ac_id
    told['cinder_store_application_credential_secret'] = secret
    stores = open_stores(fast=told)
    _, url = stores.add('fast', b'1234')
    assert stores.read('fast', url) == b'1234'
    stores.delete('fast', url)


def test_a_token_that_is_not_accepted_any_more_is_replaced(
    cloud, open_stores
):
    stores = open_stores(
        fast=given.cinder(cloud, 'glance-fast', driver=DRIVER)
    )
    client = stores['fast'].client()
    token = client.client.get_token()
    # Cinder has not seen it, and so cannot remember that it was good.
    cloud.session().delete(
        cloud.place.url('keystone', '/v3/auth/tokens'),
        headers={'X-Subject-Token': token},
    )
    assert 'glance-fast' in types_seen(stores['fast'])
    assert client.client.get_token() != token


@pytest.fixture
def hasty(cloud):
    """Keystone at another port, whose tokens are soon over: its address."""
    folder = cloud.place.path('keystone')
    conf.write(cloud.place, folder / 'hasty.conf', {
        'token': {'expiration': TOKEN_SECONDS},
    })
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    venv, name = cloud.place.folder / 'venv', 'keystone-hasty'
    cloud.processes.start(
        name,
        wsgi.command(venv, port, folder),
        cloud.processes.environment(venv, {
            'OS_KEYSTONE_CONFIG_FILES': 'keystone.conf;hasty.conf',
            'OS_KEYSTONE_CONFIG_DIR': str(folder),
        }),
    )
    cloud.processes.wait(name, lambda: not places.is_free(port))
    yield f'http://127.0.0.1:{port}/v3'
    cloud.processes.stop(name, timeout=10)


def test_an_upload_may_last_longer_than_a_token(cloud, open_stores, hasty):
    stores = open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER, cinder_store_auth_address=hasty,
    ))
    slow = cinder_parts.Slow(bytes(9 * MIB), 4 * MIB)
    with futures.ThreadPoolExecutor() as beside:
        adding = beside.submit(stores.add, 'fast', b'', 9 * MIB, slow)
        assert slow.begun.wait(300)
        token = stores['fast'].client().client.get_token()
        helpers.wait_until(
            lambda: not accepts(cloud, token), 'the end of the token'
        )
        slow.go_on.set()
        _, url = adding.result()
    assert stores.read('fast', url) == bytes(9 * MIB)
    stores.delete('fast', url)


def accepts(cloud, token):
    """Tell whether Keystone accepts a token."""
    return cloud.session().get(
        cloud.place.url('keystone', '/v3/auth/tokens'),
        headers={'X-Subject-Token': token}, raise_exc=False,
    ).ok


def test_a_certificate_that_the_file_vouches_for_is_accepted(
    cloud, open_stores, tls
):
    port, trusted = tls
    stores = open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER,
        cinder_store_auth_address=f'https://127.0.0.1:{port}/v3',
        cinder_ca_certificates_file=trusted,
    ))
    assert 'glance-fast' in types_seen(stores['fast'])


def test_a_certificate_that_nobody_vouches_for_is_refused(
    cloud, open_stores, tls, caplog
):
    port, _ = tls
    told = given.cinder(
        cloud, 'glance-fast', driver=DRIVER, cinder_http_retries=0,
        cinder_store_auth_address=f'https://127.0.0.1:{port}/v3',
    )
    stores = open_stores(fast=told)
    assert 'certificate' in caplog.text.lower()
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        stores.add('fast', b'1234')
    stores = open_stores(fast={**told, 'cinder_api_insecure': True})
    assert 'glance-fast' in types_seen(stores['fast'])


def test_a_wrong_password_disables_nothing_and_is_an_error_each_time(
    cloud, open_stores, caplog
):
    stores = open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER,
        cinder_store_password='not the password',
    ))
    assert stores['fast'].is_capable(ADD)
    assert 'not the password' not in caplog.text
    with pytest.raises(exceptions.Forbidden):
        stores.add('fast', b'1234')


def behind(cloud, volume_type):
    """Return a store whose way to Cinder is the gate."""
    return given.cinder(
        cloud, volume_type, driver=DRIVER, cinder_http_retries=0,
        **cinder_parts.through_gate(cloud),
    )


def test_a_cinder_that_is_down_disables_nothing(
    cloud, open_stores, gate, caplog
):
    with gate.closed():
        stores = open_stores(fast=behind(cloud, 'glance-fast'))
        assert stores['fast'].is_capable(ADD)
        said = [
            record.getMessage() for record in caplog.records
            if 'volume type of store fast' in record.getMessage()
        ]
        assert len(said) == 1
        with pytest.raises(exceptions.RemoteServiceUnavailable):
            stores.add('fast', b'1234')
    _, url = stores.add('fast', b'1234')
    stores.delete('fast', url)


def test_a_type_is_looked_up_later_if_it_could_not_be_at_the_start(
    cloud, open_stores, gate
):
    with gate.closed():
        stores = open_stores(fast=behind(cloud, 'no-such-type'))
    with pytest.raises(exceptions.StoreAddDisabled, match='no-such-type'):
        stores.add('fast', b'1234')
    assert not stores['fast'].is_capable(ADD)


@pytest.mark.parametrize('name', ['no-such-type', 'glance-private'])
def test_a_type_that_cannot_be_used_disables_its_store_only(
    cloud, open_stores, caplog, name
):
    stores = open_stores(
        fast=given.cinder(cloud, 'glance-fast', driver=DRIVER),
        bad=given.cinder(cloud, name, driver=DRIVER),
    )
    said = [
        record.getMessage() for record in caplog.records
        if name in record.getMessage() and record.levelname != 'DEBUG'
    ]
    assert len(said) == 1, said
    assert not stores['bad'].is_capable(ADD)
    with pytest.raises(exceptions.StoreAddDisabled):
        stores.add('bad', b'1234')
    _, url = stores.add('fast', b'1234')
    same = url.replace('fast', 'bad')
    assert stores.read('bad', same) == b'1234'
    with pytest.raises(exceptions.Forbidden, match=name):
        stores.delete('bad', same)
    stores.delete('fast', url)


def test_among_several_stores_one_without_a_type_is_disabled(
    cloud, open_stores, caplog
):
    without = given.cinder(cloud, 'glance-slow', driver=DRIVER)
    del without['cinder_volume_type']
    stores = open_stores(
        fast=given.cinder(cloud, 'glance-fast', driver=DRIVER), slow=without,
    )
    assert stores['fast'].is_capable(ADD)
    assert not stores['slow'].is_capable(ADD)
    assert 'cinder_volume_type must be set' in caplog.text


def test_without_a_login_of_its_own_a_store_asks_as_the_user_of_the_request(
    cloud, open_stores, block
):
    told = given.cinder(cloud, 'glance-fast', driver=DRIVER)
    for name in ('user_name', 'password', 'project_name', 'auth_address'):
        del told[f'cinder_store_{name}']
    stores = open_stores(fast=told)
    assert stores['fast'].is_capable(ADD)
    with pytest.raises(exceptions.BadStoreConfiguration):
        stores.add('fast', b'1234')
    session = cloud.session('demo')
    stores.context = context.RequestContext(
        auth_token=session.get_token(), project_id=session.get_project_id(),
    )
    stores.context.service_catalog = [{
        'type': 'block-storage', 'name': 'cinder', 'endpoints': [{
            'region': 'RegionOne',
            'publicURL': cloud.place.url('cinder', '/v3'),
        }],
    }]
    _, url = stores.add('fast', b'1234')
    (volume,) = block('demo').volumes.list()
    assert cinder_parts.volume_of(url) == volume.id
    assert stores.read('fast', url) == b'1234'
    stores.delete('fast', url)
