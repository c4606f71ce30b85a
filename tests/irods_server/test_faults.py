# SPDX-License-Identifier: Apache-2.0

import socket
import time

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
    'mkcoll': lambda session, path: session.collections.create(f'{path}-c'),
    'read': lambda session, path: clients.read(session, path),
    'write': lambda session, path: clients.create(
        session, f'{path}-new', b'data'),
    'close': lambda session, path: clients.create(session, f'{path}-new'),
    'metadata': lambda session, path: session.data_objects.get(
        path).metadata.add('k', 'v'),
}


@pytest.fixture(autouse=True)
def filled(server, path):
    server.put(path, b'data')


@pytest.fixture
def session(session):
    """Log in before anything is made to fail."""
    assert session.server_version
    return session


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
    server, session, connect, path, api, after
):
    server.faults.drop_on(api, after=after)
    with pytest.raises(exception.NetworkException):
        CALLS[api](session, path)
    helpers.wait_until(
        lambda: server.active_connections == 0, 'the agent to end'
    )
    assert server.calls_of(api)[-1].code is None
    assert server.open_files == 0


@pytest.mark.parametrize(('after', 'left'), [(False, True), (True, False)])
def test_what_fails_afterwards_has_been_done(
    server, session, path, after, left
):
    server.faults.fail_on('unlink', -105000, after=after)
    code = clients.code_of(session.data_objects.unlink, path, force=True)
    assert code == -105000
    assert (path in server.objects()) == left


def test_a_fault_waits_for_its_path_and_for_the_calls_before(
    server, session, path
):
    server.put(f'{path}2', b'data')
    server.put(f'{path}3', b'data')
    server.faults.fail_on('unlink', -105000, path='image2')
    server.faults.fail_on('checksum', -105000, skip=1)
    session.data_objects.unlink(path, force=True)
    assert clients.code_of(
        session.data_objects.unlink, f'{path}2', force=True
    ) == -105000
    session.data_objects.unlink(f'{path}2', force=True)
    session.data_objects.chksum(f'{path}3')
    assert clients.code_of(session.data_objects.chksum, f'{path}3') == -105000


@pytest.mark.parametrize('n', [0, 1, MIB, 4 * MIB + 1])
def test_a_write_can_be_dropped_after_some_bytes(
    server, session, path, n
):
    server.faults.drop_after_bytes(n, 'write')
    with (
        pytest.raises(exception.NetworkException),
        session.data_objects.open(f'{path}-new', 'w') as file,
    ):
        for _ in range(3):
            file.raw.write(data.some(2 * MIB))
    assert server.bytes_written == n
    helpers.wait_until(
        lambda: clients.statuses(server, f'{path}-new') == [0],
        'the agent to end',
    )
    assert server.replica(f'{path}-new').size == n


@pytest.mark.parametrize('n', [0, 1, MIB, 4 * MIB + 1])
def test_a_read_can_be_dropped_after_some_bytes(
    server, session, connect, path, n
):
    content = data.some(6 * MIB)
    server.put(f'{path}-big', content)
    server.faults.drop_after_bytes(n, 'read')
    file = session.data_objects.open(f'{path}-big', 'r')
    with pytest.raises(exception.NetworkException):
        for _ in range(3):
            file.raw.conn.read_file(file.raw.desc, 2 * MIB)
    assert server.bytes_read == n
    assert clients.read(connect(server), f'{path}-big', 6 * MIB) == content


def test_bytes_of_either_direction_are_counted_to_a_drop(
    server, session, path
):
    server.faults.drop_after_bytes(7)
    session.data_objects.copy(path, f'{path}-copy')
    assert clients.read(session, path) == b'data'
    with pytest.raises(exception.NetworkException):
        clients.create(session, f'{path}-new', b'data')
    assert (server.bytes_read, server.bytes_written) == (4, 3)


@pytest.mark.parametrize(('api', 'action'), [
    ('copy', lambda session, path: session.data_objects.copy(
        path, f'{path}-copy')),
    ('checksum', lambda session, path: session.data_objects.chksum(path)),
    ('write', lambda session, path: clients.create(
        session, f'{path}-copy', bytes(MIB))),
])
def test_long_jobs_fail_or_end_in_their_midst(
    server, connect, path, api, action
):
    big = f'{path}-big'
    server.put(big, data.some(MIB))
    server.faults.fail_after_bytes(1000, -513028, api)
    assert clients.code_of(action, connect(server), big) == -513028
    assert server.replica(big).checksum == ''
    server.catalog.objects.pop(f'{big}-copy', None)
    server.faults.drop_after_bytes(1000, api)
    with pytest.raises(exception.NetworkException):
        action(connect(server), big)
    if api != 'checksum':
        helpers.wait_until(
            lambda: clients.statuses(server, f'{big}-copy') == [0],
            'the agent to end',
        )


@pytest.mark.parametrize(('api', 'statuses'), [
    ('copy', [2]), ('replicate', [4, 2]),
])
def test_an_agent_killed_in_a_long_job_leaves_its_lock(
    server, session, connect, path, api, statuses
):
    server.add_resource('other')
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


@pytest.mark.parametrize('after_bytes', [None, 0, 2, 4])
def test_a_call_hangs_until_it_is_let_go(
    server, session, path, after_bytes
):
    hang = server.faults.hang_on('read', after_bytes=after_bytes)
    reading = threads.Running(clients.read, session, path, 4)
    if after_bytes == 4:
        assert reading.result() == b'data'
        reading = threads.Running(clients.read, session, path, 4)
    hang.wait_until_reached()
    assert server.bytes_read == (after_bytes or 0)
    hang.release()
    assert reading.result() == b'data'


def test_a_connection_may_hang_before_the_first_word(server, connect):
    hang = server.faults.hang_on('connect')
    session = connect(server, connection_timeout=0.2)
    with pytest.raises(exception.NetworkException):
        assert session.server_version
    hang.wait_until_reached()
    hang.release()
    assert connect(server).server_version


def test_a_hang_that_nothing_comes_to_is_told_of(server):
    with pytest.raises(TimeoutError):
        server.faults.hang_on('copy').wait_until_reached(timeout=0.05)


@pytest.mark.parametrize('api', ['read', 'copy'])
def test_a_slow_server_keeps_to_its_pace(server, session, path, api):
    server.put(f'{path}-big', data.some(500))
    server.faults.slow(1000)
    began = time.monotonic()
    if api == 'copy':
        session.data_objects.copy(f'{path}-big', f'{path}-copy')
    else:
        assert len(clients.read(session, f'{path}-big', MIB)) == 500
    assert time.monotonic() - began >= 0.45


def test_a_slow_server_becomes_fast_again(server, session, path):
    server.put(f'{path}-big', data.some(MIB))
    server.faults.slow(1000)
    reading = threads.Running(clients.read, session, f'{path}-big', MIB)
    helpers.wait_until(lambda: server.bytes_read > 0, 'the first bytes')
    server.faults.slow(None)
    assert len(reading.result()) == MIB


def test_a_server_refuses_connections_and_keeps_those_it_has(
    server, session, connect, path
):
    server.faults.refuse_connections()
    with pytest.raises(exception.NetworkException, match='connect'):
        assert connect(server).server_version
    assert session.data_objects.exists(path)
    server.faults.refuse_connections(False)
    assert connect(server).server_version


def test_a_server_comes_back_on_its_port_with_what_it_had(
    server, connect, path
):
    port = server.port
    server.stop()
    with pytest.raises(exception.NetworkException):
        assert connect(server).server_version
    server.start()
    assert server.port == port
    assert clients.read(connect(server), path) == b'data'


@pytest.mark.parametrize(('kill', 'status'), [(False, 0), (True, 2)])
def test_a_server_that_goes_down_ends_what_is_being_written(
    server, session, connect, path, kill, status
):
    file = session.data_objects.open(f'{path}-new', 'w')
    file.raw.write(b'half')
    server.stop(kill=kill)
    assert server.active_connections == 0
    assert clients.statuses(server, f'{path}-new') == [status]
    server.start()
    assert connect(server).data_objects.exists(f'{path}-new')


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


def test_a_client_that_comes_while_the_server_ends_is_not_served(server):
    server.stopping.set()
    with socket.create_connection((server.host, server.port), 30) as late:
        assert late.recv(1) == b''
    assert server.active_connections == 0


def test_clearing_takes_all_faults_away(server, session, connect, path):
    server.faults.fail_on('open', -105000, times=9)
    server.faults.drop_after_bytes(0, times=9)
    server.faults.slow(1)
    server.faults.full()
    server.faults.refuse_connections()
    server.faults.clear()
    clients.create(connect(server), f'{path}-new', data.some(MIB))
    assert len(clients.read(session, f'{path}-new')) == MIB


def test_a_user_can_be_denied_what_it_had(server, connect, path):
    server.add_user('ann', 'secret')
    server.permit(path, 'ann', 'own')
    server.permit(server.home, 'ann', 'read')
    hers = connect(server, user='ann', password='secret')
    assert hers.data_objects.exists(path)
    server.faults.deny(path, 'ann', 'read')
    assert clients.code_of(
        hers.data_objects.unlink, path, force=True
    ) == -818000
    server.faults.deny(path, 'ann')
    assert not hers.data_objects.exists(path)


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


def test_a_defect_of_the_server_fails_the_test_that_met_it(tmp_path):
    running = irods_server.IrodsServer(tmp_path / 'broken')
    with pytest.raises(RuntimeError, match='test server failed'), running:
        running.defects.append(ZeroDivisionError())


def test_a_call_that_the_server_is_not_up_to_is_told_of(
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


def test_a_fault_of_an_api_that_there_is_not_is_a_mistake(server):
    with pytest.raises(ValueError, match='wirte'):
        server.faults.drop_on('wirte')


def test_a_read_cannot_fail_once_its_answer_has_begun(server):
    with pytest.raises(ValueError, match='fail_on'):
        server.faults.fail_after_bytes(1, -105000, 'read')
