# SPDX-License-Identifier: Apache-2.0

"""The services themselves."""

import ipaddress
import json

from cinderclient import exceptions
from cinderclient.v3 import client as cinder_client
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import v3
import pytest

from tests.cloud import helpers
from tests.cloud.services import place

pytestmark = pytest.mark.usefixtures('nothing_left')
ACCOUNTS = ('admin', 'glance', 'glance2', 'cinder', 'demo', 'amqp', 'mariadb')
SECRETS = (
    'keystone/keystone.conf', 'cinder/cinder.conf', 'mariadb/init.sql',
    'rabbitmq/rabbitmq.conf', 'ceph/client.cinder.keyring',
    'ceph/client.admin.keyring', 'record/password-admin',
)


def test_every_service_runs_and_answers(cloud, block):
    assert cloud.missing() == []
    assert cloud.database.answers()
    health = json.loads(cloud.ceph.run('ceph', 'osd', 'stat', '-f', 'json'))
    assert health['num_up_osds'] == 1
    states = {
        (each.binary, each.host): each.state
        for each in block('admin').services.list()
    }
    assert states == {
        ('cinder-scheduler', 'cloud'): 'up',
        ('cinder-volume', 'cloud@fast'): 'up',
        ('cinder-volume', 'cloud@slow'): 'up',
    }


def test_each_user_has_a_project_of_its_own_but_those_of_services(cloud):
    projects = {
        user: cloud.session(user).get_project_id()
        for user in ('admin', 'glance', 'cinder', 'glance2', 'demo')
    }
    assert projects.pop('cinder') == projects['glance']
    assert len(set(projects.values())) == 4


@pytest.mark.parametrize('user', ['admin', 'glance', 'glance2', 'demo'])
def test_only_the_admin_may_do_what_an_admin_may(cloud, block, user):
    if user == 'admin':
        assert len(block(user).services.list()) == 3
        return
    assert block(user).volumes.list() == []
    with pytest.raises(exceptions.Forbidden):
        block(user).services.list()


def test_an_application_credential_lets_in(cloud):
    identifier, secret = cloud.application_credential('glance', 'a test')
    session = keystone_session.Session(v3.ApplicationCredential(
        cloud.place.url('keystone', '/v3'),
        application_credential_id=identifier,
        application_credential_secret=secret,
    ), timeout=60)
    found = cinder_client.Client(session=session, service_type='block-storage')
    assert found.volumes.list() == []
    assert session.get_project_id() == cloud.session('glance').get_project_id()
    cloud.session('glance').delete(
        f'/users/{session.get_user_id()}/application_credentials/{identifier}',
        endpoint_filter={'service_type': 'identity'},
    )


@pytest.mark.parametrize('pool, other', [('fast', 'slow'), ('slow', 'fast')])
def test_a_volume_type_decides_about_the_pool(cloud, block, pool, other):
    volume = helpers.new_volume(block('glance'), f'glance-{pool}')
    assert helpers.images(cloud, pool) == [f'volume-{volume.id}']
    assert helpers.images(cloud, other) == []
    volume.delete()


def test_the_private_type_is_refused_to_others_than_the_admin(block):
    types = block('admin').volume_types.list(is_public=None)
    assert 'glance-private' in {each.name for each in types}
    with pytest.raises(exceptions.NotFound):
        block('glance').volumes.create(1, volume_type='glance-private')


def test_nobody_listens_for_other_machines(cloud):
    addresses = {
        (name, each.laddr.ip)
        for name in cloud.processes.recorded()
        for process in cloud.processes.members(name)
        for each in process.net_connections('inet')
        if each.status == 'LISTEN'
    }
    assert {name for name, _address in addresses} >= {
        'ceph-mgr', 'ceph-mon', 'ceph-osd', 'cinder', 'epmd', 'keystone',
        'mariadb', 'rabbitmq',
    }
    assert [
        each for each in addresses
        if not ipaddress.ip_address(each[1]).is_loopback
    ] == []


def test_no_password_is_in_the_list_of_processes_or_in_a_log(cloud):
    passwords = {name: cloud.place.password(name) for name in ACCOUNTS}
    seen = {
        ' '.join(process.cmdline())
        for name in cloud.processes.recorded()
        for process in cloud.processes.members(name)
    }
    assert len(seen) >= len(cloud.processes.recorded())
    for path in cloud.place.make('logs').iterdir():
        seen.add(path.read_text(errors='replace'))
    for name, password in passwords.items():
        assert not any(password in text for text in seen), name


@pytest.mark.parametrize('name', SECRETS)
def test_a_file_with_secrets_is_for_its_owner_alone(cloud, name):
    assert cloud.place.path(name).stat().st_mode & 0o077 == 0


def test_the_ports_are_none_that_systems_hand_out_to_clients(cloud):
    first, last = cloud.place.ceph_ports()
    assert place.FIRST_PORT <= cloud.place.port('keystone') < first
    assert last < place.LAST_PORT < 32768
