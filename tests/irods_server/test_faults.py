# SPDX-License-Identifier: Apache-2.0

"""A fault that a test asks for happens, where and when it was asked for.

A fault that never strikes would let every test pass that injects it.
"""

import pytest

pytest.importorskip('irods', reason='python-irodsclient is not installed')

from irods import exception

from tests import irods_server
from tests.functional import helpers
from tests.irods_server import clients
from tests.irods_server import handlers
from tests.parts import data
from tests.parts import threads

MIB = 1024 * 1024
CALLS = {
    'query': lambda session, path: session.data_objects.exists(path),
    'open': lambda session, path: session.data_objects.open(path, 'r'),
    'checksum': lambda session, path: session.data_objects.chksum(path),
    'copy': lambda session, path: session.data_objects.copy(
        path, f'{path}-copy'),
    'rename': lambda session, path: session.data_objects.move(
        path, f'{path}-moved'),
    'unlink': lambda session, path: session.data_objects.unlink(
        path, force=True),
    'read': lambda session, path: clients.read(session, path),
    'write': lambda session, path: clients.create(
        session, f'{path}-new', b'data'),
    'close': lambda session, path: clients.create(session, f'{path}-new'),
}


@pytest.fixture(autouse=True)
def filled(server, path):
    server.put(path, b'data')


@pytest.fixture
def session(session):
    """Log in before anything is made to fail."""
    assert session.server_version
    return session


# Calls.

@pytest.mark.parametrize('api', CALLS)
def test_any_call_can_be_made_to_fail_so_many_times(
    server, connect, path, api
):
    server.faults.fail_on(api, -110000, times=2)
    for _ in range(2):
        code = clients.code_of(CALLS[api], connect(server), path)
        assert code == -110000
        for left in server.objects(server.home):
            if left != path:
                server.catalog.objects.pop(left)
    CALLS[api](connect(server), path)


@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('api', CALLS)
def test_a_connection_can_be_dropped_at_any_call(
    server, session, path, api, after
):
    server.faults.drop_on(api, after=after)
    with pytest.raises(exception.NetworkException):
        CALLS[api](session, path)
    helpers.wait_until(
        lambda: server.active_connections == 0, 'the agent to end'
    )
    assert server.calls_of(api)[-1].code is None
    assert server.open_files == 0
    # What is dropped afterwards has been done.
    if api == 'unlink':
        assert (path in server.objects()) == (not after)


def test_a_fault_waits_for_its_path_and_for_the_calls_before(
    server, session, path
):
    server.put(f'{path}2', b'data')
    server.put(f'{path}3', b'data')
    server.faults.fail_on('unlink', -105000, path='image2', after=True)
    server.faults.fail_on('checksum', -105000, skip=1)
    session.data_objects.unlink(path, force=True)
    assert clients.code_of(
        session.data_objects.unlink, f'{path}2', force=True
    ) == -105000
    assert server.objects() == [f'{path}3']
    session.data_objects.chksum(f'{path}3')
    assert clients.code_of(session.data_objects.chksum, f'{path}3') == -105000


def test_a_fault_of_an_api_that_there_is_not_is_a_mistake(server):
    with pytest.raises(ValueError, match='wirte'):
        server.faults.drop_on('wirte')


# Bytes.

@pytest.mark.parametrize('n', [0, 1, MIB, 4 * MIB + 1])
@pytest.mark.parametrize('api', ['read', 'write'])
def test_a_transfer_is_dropped_after_exactly_so_many_bytes(
    server, session, path, api, n
):
    server.put(f'{path}-read', data.some(6 * MIB))
    server.faults.drop_after_bytes(n, api)
    file = session.data_objects.open(f'{path}-{api}', api[0])
    with pytest.raises(exception.NetworkException):
        for _ in range(3):
            if api == 'read':
                file.raw.conn.read_file(file.raw.desc, 2 * MIB)
            else:
                file.raw.write(data.some(2 * MIB))
    assert server.counters.bytes[api] == n
    if api == 'write':
        helpers.wait_until(
            lambda: clients.statuses(server, f'{path}-write') == [0],
            'the agent to end',
        )
        assert server.replica(f'{path}-write').size == n


@pytest.mark.parametrize(('api', 'statuses'), [
    ('copy', [2]), ('replicate', [4, 2]),
])
def test_an_agent_killed_in_a_long_job_leaves_its_lock(
    server, other, session, connect, path, api, statuses
):
    server.faults.agent_dies_on(api, after_bytes=2)
    target = path if api == 'replicate' else f'{path}-copy'
    with pytest.raises(exception.NetworkException):
        if api == 'copy':
            session.data_objects.copy(path, target)
        else:
            session.data_objects.replicate(path, resource='other')
    assert clients.statuses(server, target) == statuses
    assert clients.code_of(
        connect(server).data_objects.unlink, target, force=True
    ) == -406000


@pytest.mark.parametrize('after_bytes', [None, 0, 2])
def test_a_call_hangs_until_it_is_let_go(
    server, session, path, after_bytes
):
    hang = server.faults.hang_on('read', after_bytes=after_bytes)
    reading = threads.Running(clients.read, session, path, 4)
    hang.wait_until_reached()
    assert server.bytes_read == (after_bytes or 0)
    hang.release()
    assert reading.result() == b'data'


def test_calls_and_bytes_are_counted(server, session, path):
    server.counters.reset()
    clients.read(session, path)
    clients.create(session, f'{path}-new', b'123')
    # Closing a buffered file, the client asks where it is, for nothing.
    assert [call.api for call in server.calls if call.api != 'lseek'] == [
        'open', 'read', 'close', 'open', 'write', 'close',
    ]
    assert {call.path for call in server.calls} == {path, f'{path}-new'}
    assert (server.bytes_read, server.bytes_written) == (4, 3)


# The whole server.

def test_a_server_refuses_connections_and_keeps_those_it_has(
    server, session, connect, path
):
    server.faults.refuse_connections()
    with pytest.raises(exception.NetworkException, match='connect'):
        assert connect(server).server_version
    assert session.data_objects.exists(path)
    server.faults.clear()
    assert connect(server).server_version


@pytest.mark.parametrize(('kill', 'status'), [(False, 0), (True, 2)])
def test_a_server_that_goes_down_ends_what_is_being_written(
    server, session, connect, path, kill, status
):
    port = server.port
    file = session.data_objects.open(f'{path}-new', 'w')
    file.raw.write(b'half')
    server.stop(kill=kill)
    assert server.active_connections == 0
    assert clients.statuses(server, f'{path}-new') == [status]
    with pytest.raises(exception.NetworkException):
        assert connect(server).server_version
    server.start()
    assert server.port == port
    assert clients.read(connect(server), path) == b'data'


@pytest.mark.parametrize('kill', [False, True])
def test_a_server_that_goes_down_lets_go_what_hangs(
    server, session, path, kill
):
    hang = server.faults.hang_on('copy', after_bytes=2)
    copying = threads.Running(session.data_objects.copy, path, f'{path}-copy')
    hang.wait_until_reached()
    server.stop(kill=kill)
    with pytest.raises(exception.NetworkException):
        copying.result()
    assert clients.statuses(server, f'{path}-copy') == [2 if kill else 1]


def test_a_call_that_the_server_is_not_up_to_fails_the_test(
    tmp_path, connect, monkeypatch
):
    broken = irods_server.IrodsServer(tmp_path, 'brokenZone')

    def unlink(agent, request):
        raise ZeroDivisionError

    monkeypatch.setitem(handlers.TABLE, 615, unlink)
    with pytest.raises(RuntimeError, match='test server failed'), broken:
        session = connect(broken)
        with pytest.raises(KeyError, match='-154000'):
            session.data_objects.unlink(f'{broken.home}/image')
        session.cleanup()
