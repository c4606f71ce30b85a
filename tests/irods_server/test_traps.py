# SPDX-License-Identifier: Apache-2.0

"""What a driver must expect of iRODS, and would not.

The double does it too, so that a driver that does not expect it fails.
"""

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception
from irods import message

from tests.functional import helpers
from tests.irods_server import clients
from tests.parts import data
from tests.parts import threads

MIB = 1024 * 1024


class Broken(Exception):
    """What a test raises in the middle of a write."""


@pytest.fixture
def session(session):
    """Ask for the version first: a session that did not leaks."""
    assert session.server_version
    return session


@pytest.fixture
def target(path):
    return f'{path}-copy'


def wait_for_status(server, path, status):
    helpers.wait_until(
        lambda: clients.statuses(server, path) == [status],
        f'status {status} of {path}',
    )


# Writing.

def test_an_object_that_is_being_written_has_status_2_and_no_size(
    server, session, path
):
    with session.data_objects.open(path, 'w') as file:
        file.raw.write(b'half of it')
        found = session.data_objects.get(path)
        assert (found.replica_status, found.size) == ('2', 0)
    found = session.data_objects.get(path)
    assert (found.replica_status, found.size) == ('1', 10)


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


def test_opening_for_writing_destroys_what_is_there(server, session, path):
    server.put(path, b'old')
    session.data_objects.open(path, 'w').close()
    assert server.content(path) == b''
    assert clients.statuses(server, path) == [1]


def test_a_client_that_is_gone_leaves_a_stale_object_that_is_served(
    server, session, connect, path
):
    file = connect(server).data_objects.open(path, 'w')
    file.raw.write(b'half of it')
    assert clients.statuses(server, path) == [2]
    file.raw.conn.socket.close()
    wait_for_status(server, path, 0)
    assert server.replica(path).size == 10
    assert clients.read(session, path) == b'half of it'
    session.data_objects.unlink(path, force=True)
    assert server.objects() == []


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
    wait_for_status(server, path, 0)
    assert server.content(path) == b''


# Checksums.

def test_a_checksum_given_at_close_only_is_ignored(server, session, path):
    number = clients.open_object(session, path, clients.EXCLUSIVE)
    connection = session.pool.get_connection()
    connection.write_file(number, b'data')
    connection.close_file(number, verifyChksum='sha2:wrong')
    assert clients.statuses(server, path) == [1]
    assert server.replica(path).checksum == ''


# Copies.

@pytest.mark.parametrize('size', [0, 1, 9 * MIB + 1])
def test_a_copy_has_the_bytes_alone_and_none_pass_through_the_client(
    server, session, path, target, size
):
    content = data.some(size)
    server.put(path, content)
    session.data_objects.chksum(path)
    session.data_objects.copy(path, target)
    assert server.content(target) == content
    copied = server.replica(target)
    assert (copied.status, copied.size, copied.checksum) == (1, size, '')
    assert server.bytes_read == server.bytes_written == 0
    call, = server.calls_of('copy')
    assert (call.path, call.code) == (target, 0)


def test_a_copy_passes_corrupted_bytes_on_as_good(
    server, session, path, target
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    server.corrupt(path)
    session.data_objects.copy(path, target)
    assert clients.statuses(server, target) == [1]
    assert server.content(target) == server.content(path) != b'data'


def test_a_verified_copy_of_corrupted_bytes_leaves_an_empty_stale_object(
    server, session, path, target
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    server.corrupt(path)
    code = clients.code_of(
        session.data_objects.copy, path, target, verifyChksum=''
    )
    assert code == -314000
    left = server.replica(target)
    assert (left.status, left.size, left.checksum) == (0, 0, '')


@pytest.mark.parametrize('ending', ['timeout', 'closed'])
def test_a_copy_goes_on_when_its_client_is_gone(
    server, session, connect, path, target, ending
):
    server.put(path, data.some(9 * MIB))
    hang = server.faults.hang_on('copy', after_bytes=MIB)
    impatient = connect(server)
    assert impatient.server_version
    if ending == 'timeout':
        impatient.connection_timeout = 0.2
        for each in impatient.pool.idle:
            each.socket.settimeout(0.2)
    copying = threads.Running(impatient.data_objects.copy, path, target)
    hang.wait_until_reached()
    if ending == 'closed':
        for connection in list(impatient.pool.active):
            connection.socket.shutdown(2)
    with pytest.raises(exception.NetworkException):
        copying.result()
    found = session.data_objects.get(target)
    assert (found.replica_status, found.size) == ('2', 0)
    hang.release()
    wait_for_status(server, target, 1)
    assert server.content(target) == server.content(path)


# Replicas.

def test_writing_one_replica_makes_the_other_ones_stale(
    server, other, session, path
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    session.data_objects.replicate(path, resource='other')
    assert server.replica(path, 1).checksum == server.replica(path).checksum
    with session.data_objects.open(path, 'r+') as file:
        assert clients.statuses(server, path) == [2, 4]
        file.raw.write(b'D')
    assert clients.statuses(server, path) == [1, 0]
    assert server.replica(path).checksum == ''
    session.data_objects.replicate(path, resource='other')
    assert clients.statuses(server, path) == [1, 1]
    assert server.content(path, 1) == b'Data'


def test_a_corrupted_replica_is_not_replicated_as_good(
    server, other, session, path
):
    server.put(path, b'data')
    session.data_objects.chksum(path)
    server.corrupt(path)
    code = clients.code_of(
        session.data_objects.replicate, path, resource='other'
    )
    assert code == -314000
    assert clients.statuses(server, path) == [1, 0]


def test_what_the_client_says_of_an_object_is_that_of_the_first_row(
    server, other, session, path
):
    server.put(path, b'data')
    session.data_objects.replicate(path, resource='other')
    server.set_replica(path, status=0, size=1)
    assert session.data_objects.get(path).size == 1
    # It is read from the good one all the same.
    assert clients.read(session, path) == b'data'
