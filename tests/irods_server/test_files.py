# SPDX-License-Identifier: Apache-2.0

import os
import threading

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception
from irods import keywords

from tests.irods_server import clients
from tests.parts import data

MIB = 1024 * 1024
BLOCK = 4 * MIB


@pytest.mark.parametrize('size', [
    0, 1, 8191, 8192, MIB - 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7,
])
def test_what_is_written_is_read_again(server, session, path, size):
    content = data.some(size)
    with session.data_objects.open(path, 'w') as file:
        file.write(content)
    assert server.content(path) == content
    assert server.replica(path).size == size
    with session.data_objects.open(path, 'r') as file:
        assert file.read() == content


def test_one_message_may_be_larger_than_the_server_s_buffer(
    server, session, path
):
    content = data.some(9 * MIB + 5)
    clients.create(session, path, content)
    assert server.content(path) == content
    with session.data_objects.open(path, 'r') as file:
        assert file.raw.conn.read_file(file.raw.desc, 10 * MIB) == content


def test_a_seek_changes_where_the_next_read_begins(server, session, path):
    server.put(path, b'0123456789')
    with session.data_objects.open(path, 'r') as file:
        raw = file.raw
        assert raw.seek(4) == 4
        assert raw.conn.read_file(raw.desc, 3) == b'456'
        assert raw.seek(1, os.SEEK_CUR) == 8
        assert raw.conn.read_file(raw.desc, 9) == b'89'
        assert raw.seek(-2, os.SEEK_END) == 8
        assert raw.seek(50) == 50
        assert raw.conn.read_file(raw.desc, 3) is None


def test_writing_goes_on_behind_a_seek(server, session, path):
    server.put(path, b'0123456789')
    with session.data_objects.open(path, 'r+') as file:
        file.raw.seek(4)
        file.raw.write(b'ab')
    assert server.content(path) == b'0123ab6789'


def test_appending_begins_at_the_end(server, session, path):
    server.put(path, b'0123')
    with session.data_objects.open(path, 'a') as file:
        file.write(b'45')
    assert server.content(path) == b'012345'


@pytest.mark.parametrize('mode', ['w', 'w+'])
def test_opening_for_writing_empties_an_object(server, session, path, mode):
    server.put(path, b'old and long')
    with session.data_objects.open(path, mode) as file:
        file.write(b'new')
    assert server.content(path) == b'new'
    assert server.replica(path).size == 3


def test_create_makes_an_empty_object(server, session, path):
    assert session.data_objects.create(path).size == 0
    assert clients.statuses(server, path) == [1]


def test_an_exclusive_create_makes_a_new_object(server, session, path):
    clients.create(session, path, b'data')
    assert server.content(path) == b'data'
    assert clients.statuses(server, path) == [1]


def test_an_exclusive_create_leaves_an_object_as_it_is(
    server, session, path
):
    before = server.put(path, b'old')
    code = clients.code_of(
        clients.open_object, session, path, clients.EXCLUSIVE
    )
    assert code == -510017
    assert server.replica(path) == before
    assert server.content(path) == b'old'


def test_only_one_of_many_exclusive_creates_succeeds(
    server, connect, path
):
    start = threading.Barrier(6)
    results = []

    def race():
        session = connect(server)
        assert session.server_version
        start.wait()
        try:
            clients.create(session, path, b'x')
        except exception.iRODSException as error:
            results.append(error.code)
        else:
            results.append(0)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert results.count(0) == 1
    assert set(results) <= {0, -510017, -1803000}


def test_several_objects_are_open_on_one_connection(server, session):
    paths = [f'{server.home}/{name}' for name in 'abc']
    numbers = [
        clients.open_object(session, each, clients.EXCLUSIVE)
        for each in paths
    ]
    assert numbers == [3, 4, 5]
    with session.pool.get_connection() as connection:
        for number, each in zip(numbers, paths, strict=True):
            connection.write_file(number, each.encode())
        connection.close_file(4)
    assert clients.open_object(session, f'{server.home}/d', 65) == 4
    with session.pool.get_connection() as connection:
        for number in (3, 4, 5):
            connection.close_file(number)
    for each in paths:
        assert server.content(each) == each.encode()
    assert server.open_files == 0


@pytest.mark.parametrize('use', [
    lambda connection: connection.read_file(7, 10),
    lambda connection: connection.write_file(7, b'x'),
    lambda connection: connection.seek_file(7, 0, 0),
    lambda connection: connection.close_file(7),
])
def test_a_number_that_is_not_open_is_refused(session, use):
    with session.pool.get_connection() as connection:
        assert clients.code_of(use, connection) == -19000


def test_an_object_open_for_reading_is_not_written(server, session, path):
    server.put(path, b'data')
    number = clients.open_object(session, path, 0)
    with session.pool.get_connection() as connection:
        code = clients.code_of(connection.write_file, number, b'x')
        assert code == -513009
        connection.close_file(number)
    assert server.content(path) == b'data'


def test_an_object_open_for_writing_only_is_not_read(session, path):
    number = clients.open_object(session, path, clients.EXCLUSIVE)
    with session.pool.get_connection() as connection:
        code = clients.code_of(connection.read_file, number, 1)
        assert code == -512009
        connection.close_file(number)


def test_many_sessions_write_and_read_at_the_same_time(server, connect):
    failures = []

    def work(number):
        path = f'{server.home}/object{number}'
        content = data.some(BLOCK + number, seed=number)
        session = connect(server)
        with session.data_objects.open(path, 'w') as file:
            file.write(content)
        if clients.read(session, path, 2 * BLOCK) != content:
            failures.append(path)

    threads = [
        threading.Thread(target=work, args=(number,)) for number in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    assert len(server.objects(server.home)) == 6


def test_the_client_s_transfer_in_parallel_works(
    server, session, path, tmp_path
):
    content = data.some(36 * MIB)
    (tmp_path / 'source').write_bytes(content)
    session.data_objects.put(str(tmp_path / 'source'), path, num_threads=3)
    assert server.content(path) == content
    assert clients.statuses(server, path) == [1]
    assert server.calls_of('replica_close')
    session.data_objects.get(path, str(tmp_path / 'target'), num_threads=3)
    assert (tmp_path / 'target').read_bytes() == content


def test_several_gib_of_zeros_take_no_room_and_little_time(
    server, session, path
):
    size = 5 * 1024 * MIB + 3
    server.put(path, size)
    assert session.data_objects.get(path).size == size
    assert os.stat(server.replica(path).path).st_blocks == 0
    session.data_objects.copy(path, path + '2')
    copied = server.replica(path + '2')
    assert copied.size == size
    assert os.stat(copied.path).st_blocks == 0
    with session.data_objects.open(path + '2', 'r') as file:
        file.raw.seek(size - 2)
        assert file.raw.conn.read_file(file.raw.desc, MIB) == b'\0\0'


def test_zeros_that_a_client_writes_stay_holes(server, session, path):
    zeros, noise = bytes(BLOCK), data.some(BLOCK)
    with session.data_objects.open(path, 'w') as file:
        for block in (zeros, noise, zeros, zeros):
            file.raw.write(block)
    assert server.content(path) == zeros + noise + zeros + zeros
    assert os.stat(server.replica(path).path).st_blocks * 512 < 2 * BLOCK


def test_zeros_over_data_are_written_as_zeros(server, session, path):
    server.put(path, b'x' * BLOCK)
    with session.data_objects.open(path, 'r+') as file:
        file.raw.write(bytes(MIB))
    assert server.content(path) == bytes(MIB) + b'x' * (BLOCK - MIB)


def test_a_checksum_given_at_open_is_compared_at_close(
    server, session, path
):
    server.put(f'{path}-model', b'data')
    right = session.data_objects.chksum(f'{path}-model')
    options = {keywords.VERIFY_CHKSUM_KW: right}
    with session.data_objects.open(path, 'w', **options) as file:
        file.write(b'data')
    assert server.replica(path).checksum == right
    number = clients.open_object(
        session, f'{path}-wrong', clients.EXCLUSIVE, verifyChksum=right
    )
    connection = session.pool.get_connection()
    connection.write_file(number, b'other')
    assert clients.code_of(connection.close_file, number) == -314000
    wrong = server.replica(f'{path}-wrong')
    assert (wrong.status, wrong.size) == (0, 0)


def test_a_checksum_is_stored_at_close_if_that_was_asked_for(
    server, session, path
):
    with session.data_objects.open(path, 'w', regChksum='') as file:
        file.write(b'data')
    stored = server.replica(path).checksum
    assert stored.startswith('sha2:')
    assert session.data_objects.chksum(path, forceChksum='') == stored


def test_a_checksum_given_at_close_only_is_ignored(server, session, path):
    number = clients.open_object(session, path, clients.EXCLUSIVE)
    connection = session.pool.get_connection()
    connection.write_file(number, b'data')
    connection.close_file(number, verifyChksum='sha2:wrong')
    assert clients.statuses(server, path) == [1]
    assert server.replica(path).checksum == ''
