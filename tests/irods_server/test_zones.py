# SPDX-License-Identifier: Apache-2.0

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception

from tests.irods_server import clients
from tests.parts import data


@pytest.fixture
def other(server):
    """A second zone, which knows the first one's users."""
    return server.add_zone('otherZone')


@pytest.fixture
def abroad(other):
    """The home in the second zone of the first one's administrator."""
    return '/otherZone/home/rods#tempZone'


def test_each_zone_has_a_port_and_users_of_its_own(server, other, connect):
    assert other.port != server.port
    assert connect(other).collections.exists('/otherZone/home/rods')
    assert not connect(other).collections.exists('/otherZone/home/none')


def test_a_path_of_another_zone_is_served_there(
    server, other, session, abroad
):
    path = f'{abroad}/object'
    with session.data_objects.open(path, 'w') as file:
        file.write(b'data')
    assert other.content(path) == b'data'
    assert server.objects() == []
    assert session.data_objects.get(path).size == 4
    assert clients.read(session, path) == b'data'
    assert session.data_objects.chksum(path).startswith('sha2:')
    session.data_objects.move(path, f'{abroad}/moved')
    session.data_objects.unlink(f'{abroad}/moved', force=True)
    assert other.objects() == []


def test_a_copy_goes_from_zone_to_zone(server, other, session, path, abroad):
    content = data.some(5 * 1024 * 1024)
    server.put(path, content)
    session.data_objects.copy(path, f'{abroad}/copy', verifyChksum='')
    assert other.content(f'{abroad}/copy') == content
    assert clients.statuses(other, f'{abroad}/copy') == [1]
    session.data_objects.copy(f'{abroad}/copy', f'{path}-back')
    assert server.content(f'{path}-back') == content
    for zone in (server, other):
        assert zone.bytes_read == zone.bytes_written == 0


def test_nothing_is_moved_from_zone_to_zone(server, session, path, abroad):
    server.put(path, b'data')
    assert clients.code_of(
        session.data_objects.move, path, f'{abroad}/moved'
    ) == -109000
    assert server.objects() == [path]


def test_permissions_hold_across_zones(server, other, session):
    assert clients.code_of(
        session.data_objects.open, '/otherZone/home/rods/mine', 'w'
    ) == -818000
    other.put('/otherZone/home/rods/theirs', b'data')
    assert not session.data_objects.exists('/otherZone/home/rods/theirs')
    other.permit('/otherZone/home/rods', 'rods', 'read', zone='tempZone')
    other.permit(
        '/otherZone/home/rods/theirs', 'rods', 'read', zone='tempZone'
    )
    assert clients.read(session, '/otherZone/home/rods/theirs') == b'data'


def test_a_user_of_another_zone_logs_in_with_its_own_password(
    server, other, connect
):
    session = connect(other, zone='tempZone')
    assert session.collections.exists('/otherZone/home/rods#tempZone')
    wrong = connect(other, zone='tempZone', password='wrong')
    assert clients.code_of(lambda: wrong.server_version) == -826000


def test_a_user_that_the_other_zone_does_not_know_is_refused(
    server, other, connect
):
    server.add_user('ann', 'secret')
    hers = connect(server, user='ann', password='secret')
    assert clients.code_of(
        hers.data_objects.open, '/otherZone/home/x', 'r'
    ) == -827000


def test_a_zone_that_is_not_federated_is_not_found(session):
    assert not session.collections.exists('/noZone/home')
    assert clients.code_of(
        session.data_objects.open, '/noZone/home/x', 'r'
    ) == -358000


def test_zones_can_be_told_of_each_other_later(
    serve, server, session, tmp_path
):
    third = serve(zone='thirdZone')
    assert not session.collections.exists('/thirdZone/home')
    server.federate(third)
    assert session.collections.exists('/thirdZone/home')


def test_two_zones_go_down_one_by_one(server, other, connect):
    other.stop()
    with pytest.raises(exception.NetworkException):
        assert connect(other).server_version
    assert connect(server).server_version
