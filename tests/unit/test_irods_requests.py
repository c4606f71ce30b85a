# SPDX-License-Identifier: Apache-2.0

"""What is done with the connections of a store, whatever it is."""

from glance_store import exceptions
import pytest

from glance_store_irods import api
from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import IMAGE


@pytest.fixture
def lease(store):
    with store.sessions.lease() as lent:
        yield lent


def test_what_the_client_raises_is_translated_and_nothing_lost(
    zone, store, image
):
    path = zone.image_path

    def fail(_session):
        raise ZeroDivisionError

    with store.sessions.lease() as lease:
        api.copy(lease, path, path + '2')
        with pytest.raises(exceptions.Duplicate):
            api.copy(lease, path, path + '2')
    assert zone.objects() == ['image', 'image2']
    zone.wait_connected(1)
    with (
        pytest.raises(ZeroDivisionError),
        store.sessions.lease() as lease,
    ):
        lease.run(fail, 'copy', path)
    assert store.sessions.in_use == 0
    zone.wait_connected(0)
    assert irods.read(store, image) == IMAGE


@pytest.mark.parametrize('patient', [True, False])
def test_a_request_waits_as_long_as_it_shall(zone, image, patient):
    store = zone.store(timeout=irods.SOON)
    path = zone.image_path

    def copy():
        with store.sessions.lease() as lease:
            lease.run(
                lambda session: session.data_objects.copy(path, path + '2'),
                'copy', path, seconds=1000 if patient else None,
            )

    hang = zone.server.faults.hang_on('copy')
    copying = threads.Running(copy)
    hang.wait_until_reached()
    if patient:
        zone.let_a_question_time_out(store)
        hang.release()
        copying.result()
    else:
        with pytest.raises(exceptions.RemoteServiceUnavailable):
            copying.result()
        hang.release()


def test_a_session_that_another_thread_began_loses_no_connection(
    zone, store, image
):
    """The client takes one to ask for the version, and forgets it."""
    irods.get_size(store, image)
    path = zone.image_path

    def open_and_close(session):
        session.data_objects.open(path, 'r').close()
        return len(session.pool.active)

    def run():
        with store.sessions.lease() as lease:
            return lease.run(open_and_close, 'read', path)

    assert threads.Running(run).result() == 0
    zone.wait_connected(1)


def test_more_connections_than_one_of_a_session_end_with_it(
    zone, store, image
):
    path = zone.image_path

    def read_twice(session):
        with session.data_objects.open(path, 'r') as file:
            assert file.read(10) == IMAGE[:10]
            session.data_objects.get(path)
            zone.wait_connected(2)

    with store.sessions.lease() as lease:
        lease.run(read_twice, 'read', path)
    assert irods.read(store, image) == IMAGE
    zone.wait_connected(1)


def test_the_checksum_is_the_recorded_one_unless_it_shall_be_fresh(
    zone, image, lease
):
    path = zone.image_path
    assert api.checksum(lease, path) == irods.sha2(IMAGE)
    zone.server.corrupt(path)
    assert api.checksum(lease, path) == irods.sha2(IMAGE)
    damaged = data.flipped(IMAGE, 0)
    assert api.checksum(lease, path, fresh=True) == irods.sha2(damaged)
    with pytest.raises(exceptions.NotFound):
        api.checksum(lease, path + '2')


def test_all_objects_of_the_collection_are_listed(zone, store):
    assert store.list() == []
    names = [f'image{n:04d}' for n in range(1203)]
    for name in [*names, 'a.0123.part']:
        zone.put(name, b'')
    zone.add_collection('images/inner')
    zone.server.put(f'{zone.collection}/inner/x', b'', user=irods.USER)
    paths = [f'{zone.collection}/{name}' for name in ['a.0123.part', *names]]
    assert store.list() == paths
    assert [path for path in paths if store.is_partial(path)] == paths[:1]
