# SPDX-License-Identifier: Apache-2.0

"""What a driver must expect of iRODS, and would not."""

import threading

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception
from irods import message

from tests.functional import helpers
from tests.irods_server import clients
from tests.parts import data

MIB = 1024 * 1024


class Broken(Exception):
    """What a test raises in the middle of a write."""


@pytest.fixture
def session(session):
    """Ask for the version first: a session that did not leaks."""
    assert session.server_version
    return session


def test_an_agent_that_dies_in_a_reply_leaves_it_short(
    server, session, path
):
    server.put(path, data.some(MIB))
    server.faults.drop_after_bytes(1000, 'read')
    file = session.data_objects.open(path, 'r')
    with pytest.raises(exception.NetworkException):
        file.raw.conn.read_file(file.raw.desc, MIB)
    assert server.bytes_read == 1000


def test_an_open_that_fails_keeps_its_connection(server, session):
    for _ in range(3):
        with pytest.raises(exception.OBJ_PATH_DOES_NOT_EXIST):
            session.data_objects.open(f'{server.home}/none', 'r')
    assert len(session.pool.active) == server.active_connections == 3
    session.pool._conn.release()
    assert len(session.pool.active) == 2


def test_a_session_that_begins_with_an_open_loses_a_connection(
    server, connect, path
):
    fresh = connect(server)
    fresh.data_objects.open(path, 'w').close()
    assert len(fresh.pool.active) == server.active_connections - 1 == 1


def test_a_close_that_fails_keeps_its_connection(server, session, path):
    file = session.data_objects.open(path, 'w', verifyChksum='sha2:wrong')
    file.raw.write(b'data')
    with pytest.raises(exception.USER_CHKSUM_MISMATCH):
        file.raw.close()
    assert len(session.pool.active) == 1


def test_a_write_that_is_broken_off_makes_a_good_object(
    server, session, path
):
    with (
        pytest.raises(Broken),
        session.data_objects.open(path, 'w') as file,
    ):
        file.raw.write(b'half of it')
        raise Broken
    written = server.replica(path)
    assert (written.status, written.size) == (1, 10)


def test_a_write_without_room_makes_a_good_object(server, session, path):
    server.faults.full(room=MIB)
    with (
        pytest.raises(exception.UNIX_FILE_WRITE_ERR),
        session.data_objects.open(path, 'w') as file,
    ):
        file.raw.write(bytes(4 * MIB))
    written = server.replica(path)
    assert (written.status, written.size) == (1, MIB)


def test_a_client_that_is_gone_leaves_a_stale_object_that_is_served(
    server, session, connect, path
):
    other = connect(server)
    file = other.data_objects.open(path, 'w')
    file.raw.write(b'half of it')
    assert clients.statuses(server, path) == [2]
    file.raw.conn.socket.close()
    helpers.wait_until(
        lambda: clients.statuses(server, path) == [0], 'the agent to end'
    )
    assert server.replica(path).size == 10
    assert clients.read(session, path) == b'half of it'
    session.data_objects.unlink(path, force=True)
    assert server.objects() == []


def test_a_client_that_says_goodbye_with_a_file_open_is_gone_too(
    server, connect, path
):
    other = connect(server)
    clients.open_object(other, path, clients.EXCLUSIVE)
    other.cleanup()
    helpers.wait_until(
        lambda: clients.statuses(server, path) == [0], 'the agent to end'
    )


def test_a_client_that_goes_in_the_middle_of_a_write_wrote_nothing(
    server, connect, path
):
    other = connect(server)
    assert other.server_version
    file = other.data_objects.open(path, 'w')
    half = message.iRODSMessage(
        'RODS_API_REQ', message.OpenedDataObjRequest(
            l1descInx=file.raw.desc, len=100, whence=0, oprType=0, offset=0,
            bytesWritten=0, KeyValPair_PI=message.StringStringMap(),
        ), bs=b'x' * 100, int_info=676,
    ).pack()[:-50]
    file.raw.conn.socket.sendall(half)
    file.raw.conn.socket.close()
    helpers.wait_until(
        lambda: clients.statuses(server, path) == [0], 'the agent to end'
    )
    assert server.content(path) == b''


def test_an_object_that_is_being_written_has_status_2_and_no_size(
    server, session, path
):
    with session.data_objects.open(path, 'w') as file:
        file.raw.write(b'half of it')
        found = session.data_objects.get(path)
        assert (found.replica_status, found.size) == ('2', 0)
    found = session.data_objects.get(path)
    assert (found.replica_status, found.size) == ('1', 10)


def test_opening_for_writing_destroys_what_is_there(server, session, path):
    server.put(path, b'old')
    session.data_objects.open(path, 'w').close()
    assert server.content(path) == b''
    assert clients.statuses(server, path) == [1]


def test_a_copy_passes_corrupted_bytes_on_as_good(server, session, path):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    server.faults.corrupt(path)
    session.data_objects.copy(path, f'{path}-copy')
    assert clients.statuses(server, f'{path}-copy') == [1]
    assert server.content(f'{path}-copy') == server.content(path) != b'data'


@pytest.mark.parametrize('spoil', ['corrupt', 'wrong_checksum'])
def test_a_verified_copy_of_corrupted_bytes_leaves_an_empty_stale_object(
    server, session, path, spoil
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    getattr(server.faults, spoil)(path)
    code = clients.code_of(
        session.data_objects.copy, path, f'{path}-copy', verifyChksum=''
    )
    assert code == -314000
    left = server.replica(f'{path}-copy')
    assert (left.status, left.size, left.checksum) == (0, 0, '')
    session.data_objects.unlink(f'{path}-copy', force=True)


def test_a_forced_copy_needs_a_replica_where_it_goes(server, session, path):
    server.add_resource('other')
    server.put(path, b'new')
    server.put(f'{path}-copy', b'old')
    code = clients.code_of(
        session.data_objects.copy, path, f'{path}-copy', forceFlag='',
        destRescName='other',
    )
    assert code == -1803000
    assert server.content(f'{path}-copy') == b'old'


def test_a_forced_copy_that_is_not_verified_leaves_the_old_size(
    server, session, path
):
    """Its checksum is forgotten, and it is stale with the new bytes."""
    server.put(path, b'new')
    session.data_objects.chksum(path)
    server.faults.wrong_checksum(path)
    server.put(f'{path}-copy', b'old and long')
    session.data_objects.chksum(f'{path}-copy')
    code = clients.code_of(
        session.data_objects.copy, path, f'{path}-copy', forceFlag='',
        verifyChksum='',
    )
    assert code == -314000
    left = server.replica(f'{path}-copy')
    assert (left.status, left.size, left.checksum) == (0, 12, '')
    assert server.content(f'{path}-copy') == b'new'


def test_a_client_that_is_gone_while_updating_leaves_no_checksum(
    server, connect, path
):
    server.put(path, b'data')
    other = connect(server)
    other.data_objects.chksum(path)
    file = other.data_objects.open(path, 'r+')
    file.raw.write(b'DA')
    file.raw.conn.socket.close()
    helpers.wait_until(
        lambda: clients.statuses(server, path) == [0], 'the agent to end'
    )
    assert server.replica(path).checksum == ''
    assert server.content(path) == b'DAta'


@pytest.mark.parametrize('ending', ['timeout', 'closed'])
def test_a_copy_goes_on_when_its_client_is_gone(
    server, session, connect, path, ending
):
    server.put(path, data.some(9 * MIB))
    hang = server.faults.hang_on('copy', after_bytes=MIB)
    impatient = connect(server, connection_timeout=0.2)
    assert impatient.server_version
    target = f'{path}-copy'
    failures = []

    def copy():
        try:
            impatient.data_objects.copy(path, target)
        except exception.NetworkException as error:
            failures.append(error)

    thread = threading.Thread(target=copy)
    thread.start()
    hang.wait_until_reached()
    if ending == 'closed':
        for connection in list(impatient.pool.active):
            connection.socket.shutdown(2)
    thread.join(30)
    assert len(failures) == 1
    found = session.data_objects.get(target)
    assert (found.replica_status, found.size) == ('2', 0)
    hang.release()
    helpers.wait_until(
        lambda: clients.statuses(server, target) == [1], 'the copy to end'
    )
    assert server.content(target) == server.content(path)


def test_connections_that_died_idle_fail_one_by_one(server, session):
    with (
        session.pool.get_connection(), session.pool.get_connection(),
        session.pool.get_connection(),
    ):
        pass
    server.stop()
    server.start()
    for _ in range(3):
        with pytest.raises(exception.NetworkException):
            session.collections.get(server.home)
    assert session.collections.exists(server.home)


def test_forcing_an_unlink_while_the_resource_is_down_leaves_an_orphan(
    server, session, path
):
    file = server.put(path, b'data').path
    server.resource().up = False
    code = clients.code_of(session.data_objects.unlink, path, force=True)
    assert code == -105000
    assert not session.data_objects.exists(path)
    with open(file, 'rb') as orphan:
        assert orphan.read() == b'data'
    server.resource().up = True
    clients.create(session, path, b'new')
    assert server.content(path) == b'new'
    assert server.replica(path).path != file


@pytest.mark.parametrize('after_bytes', [0, 5])
def test_an_agent_killed_while_writing_leaves_a_lock_behind(
    server, session, connect, path, after_bytes
):
    server.faults.agent_dies_while_writing(after_bytes)
    file = session.data_objects.open(path, 'w')
    with pytest.raises(exception.NetworkException):
        file.raw.write(b'1234567890')
    other = connect(server)
    helpers.wait_until(
        lambda: server.active_connections == 0, 'the agent to die'
    )
    assert clients.statuses(server, path) == [2]
    objects = other.data_objects
    assert clients.code_of(objects.unlink, path, force=True) == -406000
    for mode in ('r', 'r+', 'w'):
        assert clients.code_of(objects.open, path, mode) == -1803000
    objects.modDataObjMeta(
        {'objPath': path, 'replNum': 0}, {'replStatus': 0}
    )
    objects.unlink(path, force=True)
    assert server.objects() == []


def test_a_second_reader_is_kept_out_by_one_that_opens_for_update(
    server, session, connect, path
):
    server.put(path, b'data')
    with session.data_objects.open(path, 'r+'):
        code = clients.code_of(connect(server).data_objects.open, path, 'r')
        assert code == -1803000
    with session.data_objects.open(path, 'r'):
        assert clients.read(connect(server), path) == b'data'


def test_a_reader_goes_on_with_an_object_that_is_unlinked(
    server, session, connect, path
):
    server.put(path, b'data')
    with session.data_objects.open(path, 'r') as file:
        connect(server).data_objects.unlink(path, force=True)
        assert file.read() == b'data'
