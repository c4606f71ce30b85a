# SPDX-License-Identifier: Apache-2.0

"""What a store of iRODS gives a copier, beside images."""

from glance_store import exceptions
import pytest

from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import IMAGE


def test_a_session_can_be_borrowed(zone, store, image):
    with store.session('copy', zone.image_path) as session:
        session.data_objects.copy(zone.image_path, zone.image_path + '2')
    assert zone.objects() == ['image', 'image2']
    assert store.find(zone.image_path + '2').size == len(IMAGE)
    assert store.checksum(zone.image_path + '2') == irods.sha2(IMAGE)
    assert store.zone.sessions.in_use == 0
    zone.wait_connected(1)


def test_what_a_borrower_raises_is_translated_and_nothing_lost(
    zone, store, image
):
    path = zone.image_path
    with (
        pytest.raises(exceptions.Duplicate),
        store.session('copy', path) as session,
    ):
        session.data_objects.copy(path, path + '2')
        session.data_objects.copy(path, path + '2')
    zone.wait_connected(1)
    with pytest.raises(ZeroDivisionError), store.session('copy', path):
        raise ZeroDivisionError
    assert store.zone.sessions.in_use == 0
    zone.wait_connected(0)
    assert irods.read(store, image) == IMAGE


@pytest.mark.parametrize('patient', [True, False])
def test_a_borrower_waits_as_long_as_it_asked_for(zone, image, patient):
    store = zone.store(timeout=irods.SOON)
    path = zone.image_path

    def copy():
        with store.session('copy', path, patient) as session:
            session.data_objects.copy(path, path + '2')

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

    def open_and_close():
        path = zone.image_path
        with store.session('read', path) as session:
            session.data_objects.open(path, 'r').close()
            return len(session.pool.active)

    assert threads.Running(open_and_close).result() == 0
    zone.wait_connected(1)


def test_more_connections_than_one_of_a_session_end_with_it(
    zone, store, image
):
    path = zone.image_path
    with (
        store.session('read', path) as session,
        session.data_objects.open(path, 'r') as file,
    ):
        assert file.read(10) == IMAGE[:10]
        session.data_objects.get(path)
        zone.wait_connected(2)
    assert irods.read(store, image) == IMAGE
    zone.wait_connected(1)


def test_the_checksum_is_the_recorded_one_unless_it_shall_be_fresh(
    zone, store, image
):
    path = zone.image_path
    assert store.checksum(path) == irods.sha2(IMAGE)
    zone.server.corrupt(path)
    assert store.checksum(path) == irods.sha2(IMAGE)
    damaged = data.flipped(IMAGE, 0)
    assert store.checksum(path, fresh=True) == irods.sha2(damaged)
    with pytest.raises(exceptions.NotFound):
        store.checksum(path + '2')


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


def test_a_store_knows_the_incomplete_objects_of_an_image(zone, store):
    for name in ('image', 'image.0a.part', 'image2.0b.part', 'x.0c.part'):
        zone.put(name, b'')
    assert store.partials('image') == [zone.image_path + '.0a.part']
    assert store.partials('other') == []


@pytest.mark.parametrize(('urls', 'is_recorded'), [
    ([], False),
    (['file:///var/lib/glance/image', 'irods://z/c/image'], False),
    (['file:///image', 'irods:/{path}'], True),
    (['irods://rods:x@host:1247{path}'], True),
    (['irods:/{path}2'], False),
])
def test_a_store_knows_the_url_of_what_no_location_names(
    zone, store, urls, is_recorded
):
    urls = [url.format(path=zone.image_path) for url in urls]
    found = store.unrecorded_url('image', urls)
    assert found == (None if is_recorded else f'irods:/{zone.image_path}')
