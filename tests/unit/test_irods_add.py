# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import io
import logging
import os
import signal
import threading
import tracemalloc
import uuid

from glance_store import exceptions
import pytest

from tests.functional import helpers
from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import CHUNK

IMAGE = data.some(3 * CHUNK + 5)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]
FULL = -513028


class Broken(Exception):
    """What a source raises; the driver has never heard of it."""


def breaking(at, error=Broken):
    """Yield so much of the image, and then raise."""
    for start in range(0, at, 1000):
        yield IMAGE[start:min(start + 1000, at)]
    raise error('the source broke')


def fails(zone, store, kind, content=IMAGE, **more):
    """Add an image, which must fail and leave nothing; return the error."""
    before = zone.objects()
    with pytest.raises(kind) as caught:
        irods.add(store, content, **more)
    assert zone.objects() == before
    assert zone.server.open_files == 0
    return caught.value


# What goes well.

@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('announced', [True, False])
def test_an_image_of_any_size_arrives_with_its_hashes(
    zone, store, size, announced
):
    content = data.some(size)
    url, count, checksum, multihash, metadata = irods.add(
        store, content, size=size if announced else 0
    )
    assert url == f'irods:/{zone.collection}/image'
    assert (count, metadata) == (size, {'store': 's1'})
    assert checksum == data.md5(content)
    assert multihash == data.sha512(content)
    assert zone.objects() == ['image']
    [replica] = zone.server.replicas(f'{zone.collection}/image')
    assert (replica.status, replica.size) == (1, size)
    assert replica.checksum == irods.sha2(content)
    assert zone.server.content(f'{zone.collection}/image') == content


@pytest.mark.parametrize('pieces', [1, 777, CHUNK - 1, CHUNK, CHUNK + 1,
                                    3 * CHUNK])
@pytest.mark.parametrize('readable', [True, False])
def test_it_is_sent_in_chunks_however_it_comes(
    zone, store, pieces, readable
):
    content = IMAGE if pieces > 1 else IMAGE[:CHUNK + 1]

    class Dribbling(io.BytesIO):
        def read(self, size):
            return super().read(min(size, pieces))

    source = Dribbling(content) if readable else [
        content[start:start + pieces]
        for start in range(0, len(content), pieces)
    ]
    irods.add(store, source, size=len(content))
    assert zone.server.content(f'{zone.collection}/image') == content
    sizes = [call.code for call in zone.server.calls_of('write')]
    assert set(sizes[:-1]) <= {CHUNK}
    assert sum(sizes) == len(content)


@pytest.mark.parametrize('algorithm', ['sha256', 'md5', 'sha1', 'sha3_512'])
def test_the_image_is_hashed_as_it_is_asked_for(store, algorithm):
    added = irods.add(store, IMAGE, algorithm=algorithm)
    assert added[3] == hashlib.new(algorithm, IMAGE).hexdigest()
    assert added[2] == data.md5(IMAGE)


def test_a_verifier_gets_every_byte_in_order(store):
    class Verifier:
        seen = b''

        def update(self, chunk):
            self.seen += chunk

    verifier = Verifier()
    irods.add(store, IMAGE, verifier=verifier)
    assert verifier.seen == IMAGE


def test_callers_without_a_hash_algorithm_get_what_they_expect(zone, store):
    added = store.add('image', io.BytesIO(IMAGE), len(IMAGE))
    assert added == (
        f'irods:/{zone.collection}/image', len(IMAGE), data.md5(IMAGE),
        {'store': 's1'},
    )


def test_the_image_gets_its_name_only_when_it_is_complete(zone, store):
    seen = []

    def source():
        for start in range(0, len(IMAGE), CHUNK):
            yield IMAGE[start:start + CHUNK]
            seen.append(zone.objects())

    irods.add(store, source())
    assert zone.objects() == ['image']
    for names in seen:
        [name] = names
        assert store.is_partial(f'{zone.collection}/{name}')
    assert not store.is_partial(f'{zone.collection}/image')


def test_it_is_written_to_the_resources_of_the_options(zone):
    for name in ('first', 'second'):
        zone.server.add_resource(name)
    store = zone.store(primary_res='first', replica_res='second')
    url = irods.add(store, IMAGE)[0]
    replicas = zone.server.replicas(f'{zone.collection}/image')
    assert [each.resource for each in replicas] == ['first', 'second']
    for each in replicas:
        assert (each.status, each.size) == (1, len(IMAGE))
        assert each.checksum == irods.sha2(IMAGE)
        content = zone.server.content(f'{zone.collection}/image', each.number)
        assert content == IMAGE
    assert irods.read(store, url) == IMAGE
    irods.delete(store, url)
    assert zone.objects() == []


# What exists stays.

def test_what_exists_is_not_overwritten_and_the_image_not_read(zone, store):
    zone.put('image', b'another one')
    error = fails(zone, store, exceptions.Duplicate, breaking(0))
    assert 'image' in str(error)
    assert zone.server.content(f'{zone.collection}/image') == b'another one'
    assert zone.server.calls_of('open') == []


@pytest.mark.parametrize('status', [0, 2, 4])
def test_not_even_something_incomplete_is_overwritten(zone, store, status):
    zone.put('image', b'half of')
    zone.server.set_replica(f'{zone.collection}/image', status=status)
    fails(zone, store, exceptions.Duplicate)


def test_what_appears_meanwhile_is_not_overwritten(zone, store):
    def source():
        yield IMAGE
        zone.put('image', b'faster')

    with pytest.raises(exceptions.Duplicate):
        irods.add(store, source())
    assert zone.objects() == ['image']
    assert zone.server.content(f'{zone.collection}/image') == b'faster'


def test_what_exists_unseen_is_not_overwritten(zone, store):
    """Without the permission to read, it looks as if it was not there."""
    path = f'{zone.collection}/image'
    zone.server.put(path, b'not yours')
    with pytest.raises(exceptions.Duplicate):
        irods.add(store, IMAGE)
    assert zone.objects() == ['image']
    assert zone.server.content(path) == b'not yours'


def test_what_a_dead_process_left_is_not_in_the_way(zone, store):
    for name in ('image.part', 'image.0123456789ab.part'):
        zone.put(name, b'half of')
        zone.server.set_replica(f'{zone.collection}/{name}', status=2)
    irods.add(store, IMAGE)
    assert 'image' in zone.objects()


def test_a_partial_object_of_somebody_else_is_not_touched(
    zone, store, monkeypatch
):
    """However unlikely it is that it has the very name."""
    number = uuid.uuid4()
    monkeypatch.setattr(uuid, 'uuid4', lambda: number)
    name = f'image.{number.hex[:12]}.part'
    zone.put(name, b'in the making')
    with pytest.raises(exceptions.Duplicate):
        irods.add(store, IMAGE)
    assert zone.objects() == [name]
    assert zone.server.content(f'{zone.collection}/{name}') == (
        b'in the making'
    )


# Sources that fail.

@pytest.mark.parametrize('at', [0, 1, CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize('error', [
    Broken, OSError, ConnectionResetError, KeyError, SystemExit,
    KeyboardInterrupt, exceptions.RemoteServiceUnavailable,
])
def test_a_source_that_breaks_leaves_nothing_and_its_own_error(
    zone, store, at, error
):
    caught = fails(zone, store, error, breaking(at, error))
    assert type(caught) is error
    assert 'the source broke' in str(caught)


@pytest.mark.parametrize('size', [
    1, CHUNK, len(IMAGE) - 1, len(IMAGE) + 1, 2 * len(IMAGE),
])
def test_a_size_that_is_not_as_announced_leaves_nothing(zone, store, size):
    error = fails(zone, store, exceptions.Invalid, size=size)
    assert str(size) in str(error)


def test_a_source_that_is_too_long_is_not_read_to_its_end(zone, store):
    def endless():
        while True:
            yield bytes(CHUNK)

    fails(zone, store, exceptions.Invalid, endless(), size=2 * CHUNK + 1)
    assert zone.server.bytes_written <= 3 * CHUNK


def test_a_verifier_that_fails_leaves_nothing(zone, store):
    class Verifier:
        def update(self, chunk):
            raise Broken('not signed by you')

    fails(zone, store, Broken, verifier=Verifier())


# The zone refuses.

def test_a_full_resource_leaves_nothing(zone, store):
    zone.server.resource().vault.capacity = 2 * CHUNK
    error = fails(zone, store, exceptions.StorageFull)
    assert 'no space left' in str(error)
    zone.server.resource().vault.capacity = None
    irods.add(store, IMAGE)


@pytest.mark.parametrize('code', [FULL, -110000, -510122, -513027])
def test_each_way_to_have_no_space_is_named_so(zone, store, code):
    zone.server.faults.fail_on('write', code, skip=1)
    fails(zone, store, exceptions.StorageFull)


def test_an_exhausted_quota_leaves_nothing(zone):
    zone.server.add_user('poor', 'p', quota=1)
    zone.server.permit(zone.collection, 'poor', 'own')
    store = zone.store(user='poor', password='p')
    irods.add(store, b'xy', 'first')
    fails(zone, store, exceptions.StorageFull)


def test_a_collection_that_may_not_be_written_is_said_so(zone):
    zone.server.add_user('reader', 'r')
    zone.server.permit(zone.collection, 'reader', 'read')
    store = zone.store(user='reader', password='r')
    error = fails(zone, store, exceptions.StorageWriteDenied)
    assert 'CAT_NO_ACCESS_PERMISSION' in str(error)


@pytest.mark.parametrize('code', [-510013, -511001, -512030])
def test_a_vault_that_may_not_be_written_is_said_so(zone, store, code):
    zone.server.faults.fail_on('write', code)
    fails(zone, store, exceptions.StorageWriteDenied)


def test_a_collection_that_vanished_is_said_so(zone, store):
    del zone.server.catalog.collections[zone.collection]
    error = fails(zone, store, exceptions.BadStoreConfiguration)
    assert 'no such collection' in str(error)


def test_a_resource_that_vanished_is_said_so(zone):
    zone.server.add_resource('away')
    store = zone.store(primary_res='away')
    del zone.server.catalog.resources['away']
    error = fails(zone, store, exceptions.BadStoreConfiguration)
    assert 'no such resource' in str(error)


def test_a_resource_that_is_down_is_said_so(zone, store):
    zone.server.resource().up = False
    fails(zone, store, exceptions.RemoteServiceUnavailable)
    zone.server.resource().up = True
    irods.add(store, IMAGE)


PHASES = ['open', 'write', 'close', 'query', 'checksum', 'rename']


@pytest.mark.parametrize('phase', PHASES)
@pytest.mark.parametrize('code', [-99000, -1234567000])
def test_any_other_error_leaves_nothing_and_is_named(
    zone, store, phase, code
):
    zone.server.faults.fail_on(phase, code, skip=phase in ('query', 'write'))
    error = fails(zone, store, exceptions.BackendException)
    assert str(code) in str(error)
    irods.add(store, IMAGE)


# What arrived is not what was sent.

def test_a_bit_that_turned_over_is_noticed(zone, store):
    hang = zone.server.faults.hang_on('checksum')
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    [name] = zone.objects()
    zone.server.corrupt(f'{zone.collection}/{name}', CHUNK)
    hang.release()
    with pytest.raises(exceptions.BackendException, match='sha256'):
        adding.result()
    assert zone.objects() == []


def test_a_size_that_is_not_that_of_what_was_sent_is_noticed(zone, store):
    hang = zone.server.faults.hang_on('close', after=True)
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    [name] = zone.objects()
    zone.server.set_replica(f'{zone.collection}/{name}', size=5)
    hang.release()
    with pytest.raises(exceptions.BackendException, match='5 bytes'):
        adding.result()
    assert zone.objects() == []


def test_a_replica_with_a_bit_turned_over_is_noticed(zone):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second')
    hang = zone.server.faults.hang_on('replicate', after=True)
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    [name] = zone.objects()
    zone.server.corrupt(f'{zone.collection}/{name}', 0, number=1)
    hang.release()
    with pytest.raises(exceptions.BackendException, match='sha256'):
        adding.result()
    assert zone.objects() == []


@pytest.mark.parametrize('wrong', [None, 0, 1])
def test_replicas_that_the_zone_makes_by_itself_are_verified_too(zone, wrong):
    """As a resource that replicates does, before it answers."""
    zone.server.add_resource('second')
    store = zone.store()
    hang = zone.server.faults.hang_on('close', after=True)
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    [name] = zone.objects()
    path = f'{zone.collection}/{name}'
    with zone.store('s2').session('replicate', path) as session:
        session.data_objects.replicate(path, 'second')
    if wrong is not None:
        zone.server.corrupt(path, 7, number=wrong)
    hang.release()
    if wrong is None:
        adding.result()
        path = f'{zone.collection}/image'
        assert [each.checksum for each in zone.server.replicas(path)] == [
            irods.sha2(IMAGE)
        ] * 2
        return
    with pytest.raises(exceptions.BackendException, match='sha256'):
        adding.result()
    assert zone.objects() == []


@pytest.mark.parametrize('what', [
    {'status': 0}, {'size': 5}, {'status': 2},
])
def test_a_replica_that_is_not_good_is_noticed(zone, what):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second', connection_timeout=0.5)
    hang = zone.server.faults.hang_on('replicate', after=True)
    adding = threads.Running(irods.add, store, IMAGE)
    hang.wait_until_reached()
    [name] = zone.objects()
    path = f'{zone.collection}/{name}'
    zone.server.set_replica(path, 1, **what)
    hang.release()
    with pytest.raises((
        exceptions.BackendException, exceptions.RemoteServiceUnavailable
    )):
        adding.result()
    # Nobody but an administrator can remove it with status 2.
    assert zone.objects() == ([name] if what == {'status': 2} else [])


def test_a_replica_that_cannot_be_made_leaves_nothing(zone):
    zone.server.add_resource('small', capacity=CHUNK)
    store = zone.store(replica_res='small')
    fails(zone, store, exceptions.StorageFull)


def test_a_replica_beside_itself_is_no_second_one(zone):
    store = zone.store(replica_res='demoResc')
    error = fails(zone, store, exceptions.BadStoreConfiguration)
    assert 'demoResc' in str(error)


@pytest.mark.parametrize(('checksum', 'wrong'), [
    (data.md5(IMAGE), None), (data.md5(b''), 'md5 checksum'),
    ('sha512:' + base64.b64encode(
        hashlib.sha512(IMAGE).digest()
    ).decode(), None),
    ('sha2:', 'sha256 checksum'), ('unknown', 'md5 checksum'),
    ('adler32:0011', 'adler32'), ('sha1:x', 'cannot be compared'),
])
def test_checksums_of_other_schemes_are_compared_too(
    zone, store, checksum, wrong
):
    """A zone can have md5 as its scheme, or any other."""
    def source():
        yield IMAGE
        [name] = zone.objects()
        names.append(f'{zone.collection}/{name}')

    names = []
    hang = zone.server.faults.hang_on('close', after=True)
    adding = threads.Running(irods.add, store, source())
    hang.wait_until_reached()
    zone.server.set_replica(names[0], checksum=checksum)
    hang.release()
    if wrong is None:
        adding.result()
        return
    with pytest.raises(exceptions.BackendException, match=wrong):
        adding.result()
    assert zone.objects() == []


# Connections that break.

@pytest.mark.parametrize('phase', PHASES)
@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('replica', [None, 'second'])
def test_a_connection_that_breaks_leaves_the_whole_image_or_nothing(
    zone, impatient, phase, after, replica
):
    zone.server.add_resource('second')
    store = zone.store(replica_res=replica)
    zone.server.faults.drop_on(phase, after=after)
    if phase in ('query', 'rename'):
        # What was done before, or can be done again, is done.
        assert irods.read(store, irods.add(store, IMAGE)[0]) == IMAGE
    else:
        fails(zone, store, exceptions.RemoteServiceUnavailable)
        irods.add(store, IMAGE)
    assert zone.objects() == ['image']


def test_a_name_that_was_given_without_our_hearing_of_it_is_taken_back(
    zone, store, impatient
):
    """The image has its name, but the zone is not there to say so."""
    zone.server.faults.drop_on('rename', after=True)
    zone.server.faults.drop_on('rename', skip=1)
    fails(zone, store, exceptions.RemoteServiceUnavailable)


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


@pytest.mark.parametrize('after', [0, 1, CHUNK, 2 * CHUNK + 7])
def test_a_connection_that_breaks_in_the_middle_leaves_nothing(
    zone, store, impatient, after
):
    zone.server.faults.drop_after_bytes(after, 'write')
    fails(zone, store, exceptions.RemoteServiceUnavailable)
    irods.add(store, IMAGE)


def test_a_replica_whose_making_breaks_leaves_nothing(zone, impatient):
    zone.server.add_resource('second')
    store = zone.store(replica_res='second')
    zone.server.faults.drop_on('replicate')
    fails(zone, store, exceptions.RemoteServiceUnavailable)


def test_a_zone_that_goes_while_writing_is_asked_again_to_remove_it(
    zone, store, impatient, caplog
):
    """It comes back before the store gives that up."""
    def source():
        yield IMAGE
        zone.server.stop()
        coming_back.append(threads.Running(zone.server.start))
        yield IMAGE

    coming_back = []
    fails(zone, store, exceptions.RemoteServiceUnavailable, source())
    coming_back[0].result()
    irods.add(store, IMAGE)


def test_what_cannot_be_removed_is_named_in_the_log(
    zone, impatient, caplog
):
    store = zone.store(connection_timeout=0.3)

    def source():
        yield IMAGE
        zone.server.stop(kill=True)
        yield IMAGE

    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.add(store, source())
    zone.server.start()
    [name] = zone.objects()
    assert store.is_partial(name)
    [said] = [
        record for record in caplog.records
        if record.levelno >= logging.ERROR and name in record.getMessage()
    ]
    assert 'stays' in said.getMessage()
    assert store.list() == [f'{zone.collection}/{name}']


def test_the_agent_that_dies_while_writing_leaves_what_is_not_ours_to_remove(
    zone, impatient, caplog
):
    store = zone.store(connection_timeout=0.3)
    zone.server.faults.agent_dies_while_writing(CHUNK)
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.add(store, IMAGE)
    [name] = zone.objects()
    assert 'reset its status' in caplog.text
    # The way that an administrator has, and the documentation shows.
    zone.server.set_replica(f'{zone.collection}/{name}', status=0)
    store.remove(f'{zone.collection}/{name}')
    irods.add(store, IMAGE)
    assert zone.objects() == ['image']


def test_what_a_killed_process_leaves_is_recognised_and_removed(zone, store):
    def endless():
        while True:
            yield bytes(CHUNK)

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
    [partial] = store.partials('image')
    helpers.wait_until(
        lambda: zone.server.replica(partial).status == 0, 'it is noticed'
    )
    irods.add(store, IMAGE)
    store.remove(partial)
    assert zone.objects() == ['image']


@pytest.mark.parametrize(('phase', 'times'), [
    ('write', 1), ('close', 1), ('checksum', 1), ('query', 2), ('rename', 2),
])
def test_a_zone_that_hangs_is_given_up_and_nothing_stays(
    zone, impatient, phase, times
):
    """What is open in the server can be removed when that has noticed."""
    store = zone.store(timeout=0.3, long_timeout=0.3)
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
    store = zone.store(timeout=0.3)
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
    store = zone.store(timeout=0.3)
    zone.server.faults.hang_on('rename', after=True)
    irods.add(store, IMAGE)
    assert zone.objects() == ['image']


def test_what_takes_the_zone_long_is_waited_for(zone):
    """It may replicate an image when that is closed, and compute."""
    store = zone.store(timeout=0.3)
    for phase in ('close', 'checksum'):
        hang = zone.server.faults.hang_on(phase)
        adding = threads.Running(irods.add, store, IMAGE, phase)
        hang.wait_until_reached()
        with pytest.raises(AssertionError, match='hangs'):
            adding.result(0.6)
        hang.release()
        adding.result()


def test_many_images_are_added_at_the_same_time(zone):
    store = zone.store(pool_size=3)
    images = {f'image{n}': data.some(CHUNK + n, seed=n) for n in range(8)}
    adding = [
        threads.Running(irods.add, store, content, name)
        for name, content in images.items()
    ]
    for each in adding:
        each.result()
    assert zone.objects() == sorted(images)
    for name, content in images.items():
        assert zone.server.content(f'{zone.collection}/{name}') == content
    assert zone.server.active_connections <= 3


def test_of_two_that_add_the_same_image_one_succeeds(zone, store):
    barrier = threading.Barrier(2)

    def source(content):
        barrier.wait(30)
        yield content

    contents = [b'one', b'two']
    adding = [
        threads.Running(irods.add, store, source(each)) for each in contents
    ]
    failed = 0
    for each in adding:
        try:
            each.result()
        except exceptions.Duplicate:
            failed += 1
    assert failed == 1
    assert zone.objects() == ['image']
    assert zone.server.content(f'{zone.collection}/image') in contents


def test_the_image_is_not_kept_in_memory(zone):
    """Three chunks are; what goes through is a hundred times as much."""
    store = zone.store(chunk_size=1024 * 1024)
    chunk, count = data.some(1024 * 1024), 192

    def source():
        tracemalloc.reset_peak()
        for _ in range(count):
            yield chunk

    tracemalloc.start()
    try:
        irods.add(store, source())
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * 1024 * 1024
