# SPDX-License-Identifier: Apache-2.0

"""The services themselves: what other tests take for granted of them."""

import ipaddress
import json

from cinderclient import exceptions
import pytest

from tests.cloud import helpers
from tests.cloud.services import leftovers
from tests.cloud.services.cloud import SERVICES

pytestmark = pytest.mark.usefixtures('nothing_left')
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
    assert {
        (each.binary, each.host, each.state)
        for each in block('admin').services.list()
    } == {
        ('cinder-scheduler', 'cloud', 'up'),
        ('cinder-volume', 'cloud@fast', 'up'),
        ('cinder-volume', 'cloud@slow', 'up'),
    }


def test_each_owner_has_a_project_and_only_the_admin_may_do_all(cloud, block):
    users = ('glance', 'glance2', 'demo')
    assert len({cloud.session(user).get_project_id() for user in users}) == 3
    for user in users:
        assert block(user).volumes.list() == []
        with pytest.raises(exceptions.Forbidden):
            block(user).services.list()


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
    passwords = {
        path.name: json.loads(path.read_text())
        for path in cloud.place.make('record').glob('password-*')
    }
    assert {'password-admin', 'password-amqp'} <= passwords.keys()
    seen = {
        ' '.join(process.cmdline())
        for name in SERVICES
        for process in cloud.processes.members(name)
    }
    assert len(seen) >= len(SERVICES)
    for path in cloud.place.make('logs').iterdir():
        seen.add(path.read_text(errors='replace'))
    for name, password in passwords.items():
        assert not any(password in text for text in seen), name


def test_files_with_secrets_are_for_their_owner_alone(cloud):
    for name in SECRETS:
        assert cloud.place.path(name).stat().st_mode & 0o077 == 0, name


@pytest.fixture
def pool(new_pools, found):
    """A pool for what is left on purpose."""
    (made,) = new_pools.make('left')
    yield made.name
    found.remove(pools=[made.name])


def test_what_a_test_leaves_is_told_and_removed(cloud, block, found, pool):
    cinder = block('glance2')
    attached = helpers.new_volume(cinder, 'glance-fast', name='attached')
    cinder.attachments.create(
        attached.id, {'host': 'a test', 'initiator': 'iqn.test'}, None
    )
    copied = helpers.new_volume(cinder, 'glance-slow', name='copied')
    made = cinder.volume_snapshots.create(copied.id)
    helpers.wait_until(
        lambda: cinder.volume_snapshots.get(made.id).status == 'available',
        'a snapshot',
    )
    for name in ('orphan', 'trash'):
        cloud.ceph.run('rbd', 'create', '--size', '1M', f'{pool}/{name}')
    cloud.ceph.run('rbd', 'snap', 'create', f'{pool}/orphan@snap')
    cloud.ceph.run('rbd', 'snap', 'protect', f'{pool}/orphan@snap')
    cloud.ceph.run('rbd', 'trash', 'mv', f'{pool}/trash')
    with pytest.raises(AssertionError) as told:
        found.assert_none(pools=[pool], timeout=0)
    lines = str(told.value).splitlines()[1:]
    assert sorted(line.split()[0] for line in lines) == [
        'attachment', 'rbd', 'rbd', 'snapshot', 'volume', 'volume',
    ]
    assert found.find(pools=[pool]) == []


def test_what_another_process_has_made_is_left_alone(cloud, block, found):
    volume = helpers.new_volume(block('glance'), 'glance-fast')
    share = cloud.place.share
    cloud.place.share = ''
    try:
        others = leftovers.Leftovers(cloud)
    finally:
        cloud.place.share = share
    assert volume.id not in ' '.join(others.find())
    assert volume.id in ' '.join(found.find())
    volume.delete()


def test_a_temporary_file_of_a_glance_is_told_and_removed(found, glance):
    path = glance.temporary / 'brickrbd_left'
    path.write_text('key = not to be left lying about')
    with pytest.raises(AssertionError, match='temporary file .*_left'):
        found.assert_none([glance], timeout=0)
    assert not path.exists()
