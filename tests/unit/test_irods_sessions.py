# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import socket

from glance_store import exceptions
import pytest

from glance_store_irods import api
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import IMAGE


@contextlib.contextmanager
def leases(store, count):
    """Hold so many connections within the block, all of them open."""
    with contextlib.ExitStack() as held:
        for _ in range(count):
            held.enter_context(store.sessions.lease()).link()
        yield


# Kept and used again.

def test_one_connection_does_one_thing_after_the_other(zone, store, image):
    for _ in range(5):
        irods.read(store, image)
        irods.get_size(store, image)
    irods.delete(store, image)
    # Native login takes two messages; the first login was the check.
    assert len(zone.server.calls_of('auth')) == 4
    zone.wait_connected(1)


def test_connections_that_the_zone_has_closed_are_not_used(zone, store, image):
    with leases(store, 4):
        zone.wait_connected(4)
    zone.server.stop()
    zone.server.start()
    assert irods.read(store, image) == IMAGE
    zone.wait_connected(1)


def test_connections_that_are_dead_without_a_sign_are_replaced(zone, image):
    store = zone.store(timeout=irods.SOON)
    with leases(store, 4):
        zone.wait_connected(4)
    hang = zone.server.faults.hang_on('query')
    assert irods.get_size(store, image) == len(IMAGE)
    hang.release()
    # Not one of the other three was tried.
    assert len(zone.server.calls_of('query')) == 3
    zone.wait_connected(1)


def test_a_connection_with_an_object_open_is_not_used_again(
    zone, store, image
):
    with store.sessions.lease() as lease:
        api.OpenObject(lease, zone.image_path)
        assert zone.server.open_files == 1
    zone.wait_connected(0)
    assert zone.server.open_files == 0


def test_what_was_open_on_a_lost_connection_is_not_taken_for_another(
    zone, store, image
):
    """On each connection, the first object that is opened is number 3."""
    zone.put('other', b'another image')
    with store.sessions.lease() as lease:
        one = api.OpenObject(lease, zone.image_path)
        lease.drop()
        two = api.OpenObject(lease, f'{zone.collection}/other')
        with pytest.raises(exceptions.RemoteServiceUnavailable):
            one.read(10)
        one.close()
        assert two.read(100) == b'another image'
        two.close()


@pytest.mark.parametrize('api', ['open', 'close', 'query', 'unlink'])
@pytest.mark.parametrize('code', [-1234567000, -99000])
def test_errors_use_up_no_connections(zone, store, image, api, code):
    zone.server.faults.fail_on(api, code, times=1000)
    for _ in range(30):
        for ask in (irods.read, irods.delete):
            with contextlib.suppress(exceptions.BackendException):
                ask(store, image)
            if not zone.objects():
                zone.put('image', IMAGE)
    assert store.sessions.in_use == 0
    zone.wait_connected(1)


# So many and no more.

def test_there_are_not_more_connections_than_allowed(zone, image):
    store = zone.store(pool_size=2, timeout=irods.SOON)
    with leases(store, 2), pytest.raises(
        exceptions.RemoteServiceUnavailable, match='irods_store_pool_size'
    ):
        irods.read(store, image)
    assert irods.read(store, image) == IMAGE


def test_whoever_waits_gets_the_connection_that_becomes_free(zone, image):
    store = zone.store(pool_size=1, timeout=100)
    waiting = threads.observe(store.sessions)
    with leases(store, 1):
        reading = threads.Running(irods.read, store, image)
        waiting.wait_for_sleepers()
    assert reading.result() == IMAGE
    zone.wait_connected(1)


def test_a_login_that_hangs_keeps_nobody_else_waiting(zone, store, image):
    """The client's own pool is locked while it connects."""
    irods.read(store, image)
    with leases(store, 1):
        hang = zone.server.faults.hang_on('auth')
        blocked = threads.Running(irods.read, store, image)
        hang.wait_until_reached()
    assert irods.read(store, image) == IMAGE
    hang.release()
    assert blocked.result() == IMAGE


def test_an_answer_may_take_longer_than_a_login(zone, image):
    store = zone.store(connection_timeout=irods.SOON, timeout=1000)
    answer = zone.server.faults.hang_on('query')
    asking = threads.Running(irods.get_size, store, image)
    answer.wait_until_reached()
    login = zone.server.faults.hang_on('auth')
    with pytest.raises(
        exceptions.RemoteServiceUnavailable, match='cannot be reached'
    ):
        threads.Running(irods.read, store, image).result(60)
    login.release()
    answer.release()
    assert asking.result() == len(IMAGE)
    # Asked once, after the question for the collection at the start.
    assert len(zone.server.calls_of('query')) == 2
    zone.wait_connected(1)


@pytest.mark.parametrize('fault', ['drop_on', 'agent_dies_on'])
@pytest.mark.parametrize('skip', [0, 1])
def test_a_login_that_breaks_is_an_error_and_leaves_nothing(
    zone, store, image, fault, skip
):
    getattr(zone.server.faults, fault)('auth', skip=skip)
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.get_size(store, image)
    zone.wait_connected(0)
    assert irods.get_size(store, image) == len(IMAGE)


def test_what_is_no_zone_is_unavailable(zone):
    """A server of another kind, at the port that was configured."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def answer():
            with listener.accept()[0] as connection:
                connection.sendall(
                    b'\0\0\0\x10<html>400</html>', socket.MSG_NOSIGNAL
                )

        answering = threads.Running(answer)
        made = irods.unconfigured('s1', **{
            **zone.options(), 'port': listener.getsockname()[1],
        })
        made.configure(re_raise_bsc=True)
        answering.result()
        answering = threads.Running(answer)
        with pytest.raises(
            exceptions.RemoteServiceUnavailable, match='does not answer as'
        ):
            made.list()
        answering.result()


def test_a_host_that_vanishes_would_be_noticed(store):
    with store.sessions.lease() as lease:
        [made] = lease.link().session.pool.idle
        connection = made.socket
        for level, option in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        ):
            assert connection.getsockopt(level, option)
        idle = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert idle == 60


def test_a_zone_that_refuses_connections_is_unavailable(zone, store, image):
    zone.server.faults.refuse_connections()
    with pytest.raises(
        exceptions.RemoteServiceUnavailable, match=str(zone.server.port)
    ):
        irods.get_size(store, image)
    zone.server.faults.clear()
    assert irods.get_size(store, image) == len(IMAGE)


# Processes.

def in_child(function):
    """Run a function in a forked process; return whether it succeeded."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function()
            status = 0
        finally:
            # Not what else pytest would do at the end of a process.
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def test_a_forked_process_has_connections_of_its_own(zone, store, image):
    with leases(store, 3):
        """All are idle from here on."""
    logins = len(zone.server.calls_of('auth'))

    def work():
        assert irods.read(store, image) == IMAGE
        store.sessions.close()

    assert in_child(work)
    assert len(zone.server.calls_of('auth')) == logins + 2
    zone.wait_connected(3)
    assert irods.read(store, image) == IMAGE
    assert len(zone.server.calls_of('auth')) == logins + 2


def test_a_connection_ends_with_its_process_whatever_was_forked(
    zone, store, image
):
    """Otherwise the zone would not hear that it was closed."""
    irods.read(store, image)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.read(reader, 1)
        os._exit(0)
    store.sessions.drop_idle()
    try:
        zone.wait_connected(0)
    finally:
        os.write(writer, b'x')
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_a_transfer_does_not_outlive_a_fork(zone, store, image, impatient):
    """The child reads it again, with a connection of its own."""
    chunks, _size = store.get(irods.location_of(store, image))
    first = next(chunks)

    def work():
        assert first + b''.join(chunks) == IMAGE
        store.sessions.close()

    assert in_child(work)
    assert first + b''.join(chunks) == IMAGE
    assert store.sessions.in_use == 0


@pytest.mark.parametrize('end', ['drop', 'end', 'run'])
def test_a_lease_can_end_in_a_forked_process(zone, store, image, end):
    def run():
        lease.run(
            lambda session: session.data_objects.chksum(zone.image_path),
            'checksum', zone.image_path,
        )

    with store.sessions.lease() as lease:
        lease.link()
        assert in_child(run if end == 'run' else getattr(lease, end))
        run()
    zone.wait_connected(1)


def test_at_the_end_of_a_process_the_zone_is_told(zone, store, image):
    irods.read(store, image)
    zone.wait_connected(1)
    store.sessions.close()
    zone.wait_connected(0)
    assert irods.read(store, image) == IMAGE
