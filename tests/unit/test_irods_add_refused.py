# SPDX-License-Identifier: Apache-2.0

"""Adding an image to a zone that refuses, hangs or goes away."""

import logging
import os
import signal

from glance_store import exceptions
import pytest

from tests.functional import helpers
from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import CHUNK

IMAGE = data.some(3 * CHUNK + 5)
PHASES = ['open', 'write', 'close', 'query', 'checksum', 'rename']


def endless():
    while True:
        yield bytes(CHUNK)


# The zone refuses.

def test_a_full_resource_leaves_nothing(zone, store):
    zone.server.resource().vault.capacity = 2 * CHUNK
    error = zone.fails(store, exceptions.StorageFull, IMAGE)
    assert 'no space left' in str(error)
    zone.server.resource().vault.capacity = None
    irods.add(store, IMAGE)


@pytest.mark.parametrize(('code', 'kind'), [
    (-110000, exceptions.StorageFull), (-510122, exceptions.StorageFull),
    (-513027, exceptions.StorageFull),
    (-510013, exceptions.StorageWriteDenied),
    (-511001, exceptions.StorageWriteDenied),
    (-512030, exceptions.StorageWriteDenied),
])
def test_a_vault_that_cannot_be_written_is_said_so(zone, store, code, kind):
    zone.server.faults.fail_on('write', code, skip=1)
    zone.fails(store, kind, IMAGE)


def test_an_exhausted_quota_leaves_nothing(zone):
    zone.server.add_user('poor', 'p', quota=1)
    zone.server.permit(zone.collection, 'poor', 'own')
    store = zone.store(user='poor', password='p')
    irods.add(store, b'xy', 'first')
    zone.fails(store, exceptions.StorageFull, IMAGE)


def test_a_collection_that_may_not_be_written_is_said_so(zone):
    zone.server.add_user('reader', 'r')
    zone.server.permit(zone.collection, 'reader', 'read')
    store = zone.store(user='reader', password='r')
    error = zone.fails(store, exceptions.StorageWriteDenied, IMAGE)
    assert 'CAT_NO_ACCESS_PERMISSION' in str(error)


def test_what_vanished_is_said_so(zone, store):
    zone.server.add_resource('away')
    there = zone.store('s2', primary_res='away')
    del zone.server.catalog.resources['away']
    error = zone.fails(there, exceptions.BadStoreConfiguration, IMAGE)
    assert 'no such resource' in str(error)
    del zone.server.catalog.collections[zone.collection]
    error = zone.fails(store, exceptions.BadStoreConfiguration, IMAGE)
    assert 'no such collection' in str(error)


def test_a_resource_that_is_down_is_said_so(zone, store):
    zone.server.resource().up = False
    zone.fails(store, exceptions.RemoteServiceUnavailable, IMAGE)
    zone.server.resource().up = True
    irods.add(store, IMAGE)


@pytest.mark.parametrize('phase', PHASES)
@pytest.mark.parametrize('code', [-99000, -1234567000])
def test_any_other_error_leaves_nothing_and_is_named(
    zone, store, phase, code
):
    zone.server.faults.fail_on(phase, code, skip=phase in ('query', 'write'))
    error = zone.fails(store, exceptions.BackendException, IMAGE)
    assert str(code) in str(error)
    irods.add(store, IMAGE)


def test_a_replica_that_cannot_be_made_leaves_nothing(zone):
    zone.server.add_resource('small', capacity=CHUNK)
    store = zone.store(replica_res='small')
    zone.fails(store, exceptions.StorageFull, IMAGE)
    store = zone.store('s2', replica_res='demoResc')
    error = zone.fails(store, exceptions.BadStoreConfiguration, IMAGE)
    # A replica beside itself would be no second one.
    assert 'demoResc' in str(error)


# Connections that break.

@pytest.mark.parametrize('phase', [*PHASES, 'replicate'])
@pytest.mark.parametrize('after', [False, True])
def test_a_connection_that_breaks_leaves_the_whole_image_or_nothing(
    zone, impatient, phase, after
):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second')
    zone.server.faults.drop_on(phase, after=after)
    if phase in ('query', 'rename'):
        # What was done before, or can be done again, is done.
        assert irods.read(store, irods.add(store, IMAGE)[0]) == IMAGE
    else:
        zone.fails(store, exceptions.RemoteServiceUnavailable, IMAGE)
        irods.add(store, IMAGE)
    assert zone.objects() == ['image']


@pytest.mark.parametrize('after', [0, 1, CHUNK, 2 * CHUNK + 7])
def test_a_connection_that_breaks_in_the_middle_leaves_nothing(
    zone, store, impatient, after
):
    zone.server.faults.drop_after_bytes(after, 'write')
    zone.fails(store, exceptions.RemoteServiceUnavailable, IMAGE)
    irods.add(store, IMAGE)


def test_a_name_that_was_given_without_our_hearing_of_it_is_taken_back(
    zone, store, impatient
):
    """The image has its name, but the zone is not there to say so."""
    zone.server.faults.drop_on('rename', after=True)
    zone.server.faults.drop_on('rename', skip=1)
    zone.fails(store, exceptions.RemoteServiceUnavailable, IMAGE)


def test_what_another_gave_the_name_meanwhile_is_not_taken_back(
    zone, store, impatient
):
    hang = zone.server.faults.hang_on('checksum')
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    zone.put('image', b'faster')
    zone.server.faults.drop_on('rename', times=2)
    hang.release()
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        adding.result()
    assert zone.objects() == ['image']


def test_what_took_the_name_of_a_partial_object_that_vanished_stays(
    zone, store
):
    hang = zone.server.faults.hang_on('rename')
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    [partial] = store.list()
    store.remove(partial)
    zone.put('image', b'another')
    hang.release()
    with pytest.raises((exceptions.NotFound, exceptions.Duplicate)):
        adding.result()
    assert zone.objects() == ['image']


def test_a_zone_that_goes_while_writing_is_asked_again_to_remove_it(
    zone, store, impatient
):
    """It comes back before the store gives that up."""
    def source():
        yield IMAGE
        zone.server.stop()
        coming_back.append(threads.Running(zone.server.start))
        yield IMAGE

    coming_back = []
    zone.fails(store, exceptions.RemoteServiceUnavailable, source())
    coming_back[0].result()
    irods.add(store, IMAGE)


def test_what_is_not_ours_to_remove_is_named_in_the_log(
    zone, impatient, caplog
):
    """The agent that wrote died, and nobody has told the catalog."""
    store = zone.store(connection_timeout=irods.SOON)
    zone.server.faults.agent_dies_while_writing(CHUNK)
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.add(store, IMAGE)
    [name] = zone.objects()
    assert store.is_partial(name)
    [said] = [
        record.getMessage() for record in caplog.records
        if record.levelno >= logging.ERROR and name in record.getMessage()
    ]
    assert 'stays' in said
    assert 'reset its status' in said
    assert store.list() == [f'{zone.collection}/{name}']
    # The way that an administrator has, and the documentation shows.
    zone.server.set_replica(f'{zone.collection}/{name}', status=0)
    store.remove(f'{zone.collection}/{name}')
    irods.add(store, IMAGE)
    assert zone.objects() == ['image']


def test_what_a_killed_process_leaves_is_recognised_and_removed(zone, store):
    child = os.fork()
    if not child:
        try:
            irods.add(store, endless())
        finally:
            os._exit(1)
    helpers.wait_until(
        lambda: zone.server.bytes_written > CHUNK, 'it writes'
    )
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    [partial] = store.list()
    assert store.is_partial(partial)
    helpers.wait_until(
        lambda: zone.server.replica(partial).status == 0, 'it is noticed'
    )
    irods.add(store, IMAGE)
    store.remove(partial)
    assert zone.objects() == ['image']


# A zone that hangs.

@pytest.mark.parametrize(('phase', 'times'), [
    ('write', 1), ('close', 1), ('checksum', 1), ('query', 2), ('rename', 2),
])
def test_a_zone_that_hangs_is_given_up_and_nothing_stays(
    zone, impatient, phase, times
):
    """What is open in the server can be removed when that has noticed."""
    store = zone.store(timeout=irods.SOON, long_timeout=irods.SOON)
    # The first question is whether the image exists.
    hang = zone.server.faults.hang_on(
        phase, times=times, skip=1 if phase == 'query' else 0
    )
    adding = threads.Running(irods.add, store, IMAGE)
    helpers.wait_until(
        lambda: zone.server.calls_of('unlink'), 'the removal is tried'
    )
    hang.release()
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        adding.result()
    assert zone.objects() == []


def test_an_object_that_a_hanging_zone_makes_late_can_be_recognised(
    zone, impatient
):
    store = zone.store(timeout=irods.SOON)
    hang = zone.server.faults.hang_on('open')
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.add(store, IMAGE)
    hang.release()
    helpers.wait_until(store.list, 'the object is there')
    [path] = store.list()
    assert store.is_partial(path)
    store.remove(path)


def test_a_zone_that_hangs_for_a_while_while_naming_the_image_is_forgiven(
    zone, impatient
):
    store = zone.store(timeout=irods.SOON)
    zone.server.faults.hang_on('rename', after=True)
    irods.add(store, IMAGE)
    assert zone.objects() == ['image']


@pytest.mark.parametrize('phase', ['close', 'checksum'])
def test_what_takes_the_zone_long_is_waited_for(zone, phase):
    """It may replicate an image when that is closed, and compute."""
    store = zone.store(timeout=irods.SOON)
    hang = zone.server.faults.hang_on(phase)
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    zone.let_a_question_time_out(store)
    hang.release()
    adding.result()
