# SPDX-License-Identifier: Apache-2.0

from glance_store import exceptions
import pytest

from tests.functional import helpers
from tests.parts import irods
from tests.parts import threads


@pytest.fixture
def image(zone):
    """The URL of an image that lies in the zone."""
    return zone.put('image', b'data')


def path_of(zone):
    return f'{zone.collection}/image'


@pytest.mark.parametrize('status', [0, 1])
def test_an_image_alone_is_removed_whether_it_is_good_or_not(
    zone, store, image, status
):
    zone.put('image2', b'data')
    zone.server.set_replica(path_of(zone), status=status)
    irods.delete(store, image)
    # Nor does it lie in the trash of the zone.
    assert zone.server.objects() == [f'{zone.collection}/image2']
    with pytest.raises(exceptions.NotFound):
        irods.delete(store, image)


def test_an_image_that_is_being_written_is_in_use(zone, store, image):
    zone.server.set_replica(path_of(zone), status=2)
    with pytest.raises(exceptions.InUseByStore, match='administrator'):
        irods.delete(store, image)
    assert zone.objects() == ['image']


def test_an_image_that_may_not_be_removed_is_forbidden(zone, image):
    zone.server.add_user('reader', 'r')
    for path in (zone.collection, path_of(zone)):
        zone.server.permit(path, 'reader', 'read')
    store = zone.store(user='reader', password='r')
    with pytest.raises(exceptions.Forbidden):
        irods.delete(store, image)
    assert zone.objects() == ['image']


def test_an_image_whose_file_cannot_be_reached_is_removed_and_that_is_logged(
    zone, store, image, caplog
):
    """iRODS takes it out of the catalog, says that it failed, and forgets."""
    zone.server.resource().up = False
    place = zone.server.replica(path_of(zone)).path
    irods.delete(store, image)
    assert zone.objects() == []
    assert place in caplog.text


@pytest.mark.parametrize('phase', ['query', 'unlink'])
@pytest.mark.parametrize('after', [False, True])
def test_a_connection_that_breaks_leaves_no_doubt(
    zone, store, image, phase, after
):
    zone.server.faults.drop_on(phase, after=after)
    irods.delete(store, image)
    assert zone.objects() == []


def test_a_zone_that_hangs_is_asked_again(zone):
    store = zone.store(timeout=irods.SOON)
    image = zone.put('image', b'data')
    hang = zone.server.faults.hang_on('unlink')
    irods.delete(store, image)
    assert zone.objects() == []
    hang.release()


def test_a_zone_that_is_gone_is_unavailable_until_it_is_back(
    zone, store, image
):
    zone.server.stop()
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.delete(store, image)
    zone.server.start()
    assert zone.objects() == ['image']
    irods.delete(store, image)
    assert zone.objects() == []


def test_an_unknown_error_is_named(zone, store, image):
    zone.server.faults.fail_on('unlink', -1234000)
    with pytest.raises(exceptions.BackendException, match='-1234000'):
        irods.delete(store, image)
    assert zone.objects() == ['image']


def test_what_is_written_anew_after_a_lost_answer_stays(zone):
    """Another image took the name while it was not clear what happened."""
    store = zone.store(timeout=irods.SOON)
    image = zone.put('image', b'data')
    zone.server.faults.hang_on('unlink', after=True)
    deleting = threads.Running(irods.delete, store, image)
    helpers.wait_until(lambda: not zone.objects(), 'it is deleted')
    zone.put('image', b'another')
    deleting.result()
    assert zone.objects() == ['image']
