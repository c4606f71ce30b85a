# SPDX-License-Identifier: Apache-2.0

import gc
import itertools

from glance_store import exceptions
import pytest

from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import CHUNK

IMAGE = data.some(3 * CHUNK + 5)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]
GIB = 1024 ** 3


@pytest.fixture
def image(zone):
    """The URL of an image that lies in the zone."""
    return zone.put('image', IMAGE)


def path_of(zone):
    return f'{zone.collection}/image'


# What goes well.

@pytest.mark.parametrize('size', SIZES)
def test_an_image_of_any_size_is_read_and_its_size_known(zone, store, size):
    content = data.some(size)
    url = zone.put('image', content)
    chunks, announced = store.get(irods.location_of(store, url))
    chunks = list(chunks)
    assert b''.join(chunks) == content
    # As web servers need them.
    assert {type(chunk) for chunk in chunks} <= {bytes}
    assert announced == irods.get_size(store, url) == size


EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, len(IMAGE) - 1, len(IMAGE)]


@pytest.mark.parametrize(
    ('start', 'end'),
    [pair for pair in itertools.product(EDGES, EDGES) if pair[0] < pair[1]],
)
def test_any_range_of_an_image_is_read(zone, store, image, start, end):
    found = irods.read(store, image, offset=start, chunk_size=end - start)
    assert found == IMAGE[start:end]
    # Nothing else is sent.
    assert zone.server.bytes_read == end - start


@pytest.mark.parametrize('offset', [*EDGES, len(IMAGE) + 1, 10 * GIB])
@pytest.mark.parametrize('length', [None, 10 * len(IMAGE)])
def test_an_image_is_read_from_any_offset_to_its_end(
    store, image, offset, length
):
    found = irods.read(store, image, offset=offset, chunk_size=length)
    assert found == IMAGE[offset:]


def test_the_driver_says_that_it_can_read_any_range(store):
    from glance_store import capabilities

    assert store.is_capable(
        capabilities.BitMasks.READ_RANDOM, capabilities.BitMasks.WRITE_ACCESS,
        capabilities.BitMasks.DRIVER_REUSABLE,
    )


def test_an_image_of_several_gigabytes_has_the_right_ends(zone):
    store = zone.store()
    size = 5 * GIB + 3
    url = zone.put('image', size)
    with open(zone.server.replica(path_of(zone)).path, 'r+b') as file:
        file.write(b'first')
        file.seek(size - 4)
        file.write(b'last')
    assert irods.get_size(store, url) == size
    assert irods.read(store, url, chunk_size=5) == b'first'
    found = irods.read(store, url, offset=size - 6)
    assert found == b'\x00\x00last'


# Images that are not there, or not complete.

def test_an_image_that_is_missing_is_not_found(zone, store):
    url = store.url_of(store.new_path('image'))
    for ask in (irods.read, irods.get_size):
        with pytest.raises(exceptions.NotFound, match='image'):
            ask(store, url)
    # So does one that may not be read.
    zone.server.put(path_of(zone), IMAGE)
    with pytest.raises(exceptions.NotFound):
        irods.read(store, url)


@pytest.mark.parametrize(('status', 'said'), [
    (0, 'incomplete'), (2, 'being written'), (4, 'locked'), (3, 'locked'),
])
def test_an_image_without_a_good_replica_is_not_served(
    zone, store, image, status, said
):
    zone.server.set_replica(path_of(zone), status=status)
    for ask in (irods.read, irods.get_size):
        with pytest.raises(
            exceptions.RemoteServiceUnavailable, match=said
        ):
            ask(store, image)
    assert zone.server.calls_of('open') == []


@pytest.fixture
def second_replica(zone, image):
    """Make a second, good replica of the image; return its number."""
    zone.server.add_resource('second')
    writer = zone.store(replica_res='second')
    irods.delete(writer, image)
    irods.add(writer, IMAGE)
    return 1


@pytest.mark.parametrize('stale', [0, 1])
def test_only_a_good_replica_is_read_and_counts(
    zone, store, image, second_replica, stale
):
    """The stale one is outdated, and of another size."""
    path = path_of(zone)
    zone.server.set_replica(path, stale, status=0, size=7)
    with open(zone.server.replica(path, stale).path, 'wb') as file:
        file.write(b'outdate')
    assert irods.read(store, image) == IMAGE
    assert irods.get_size(store, image) == len(IMAGE)


def test_an_outdated_replica_is_not_read_though_the_good_one_is_down(
    zone, store, image, second_replica, impatient
):
    """The zone would serve it: it chooses among those that are up."""
    zone.server.set_replica(path_of(zone), 1, status=0)
    zone.server.resource().up = False
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.read(store, image)


@pytest.mark.parametrize('lost', [0, 1])
def test_a_replica_whose_file_is_lost_is_replaced_by_the_other(
    zone, store, image, second_replica, lost
):
    zone.server.lose(path_of(zone), lost)
    assert irods.read(store, image) == IMAGE


def test_an_image_whose_file_is_lost_is_not_found_and_that_is_logged(
    zone, store, image, caplog
):
    zone.server.lose(path_of(zone))
    with pytest.raises(exceptions.NotFound):
        irods.read(store, image)
    assert 'its file is gone' in caplog.text


def test_an_image_whose_resource_is_down_is_unavailable(
    zone, store, image, impatient
):
    zone.server.resource().up = False
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.read(store, image)
    zone.server.resource().up = True
    assert irods.read(store, image) == IMAGE


def test_good_replicas_of_different_sizes_are_not_guessed_about(
    zone, store, image, second_replica
):
    zone.server.set_replica(path_of(zone), 1, size=5)
    for ask in (irods.read, irods.get_size):
        with pytest.raises(exceptions.BackendException, match='differ'):
            ask(store, image)


@pytest.mark.parametrize('left', [0, 1, CHUNK, 2 * CHUNK + 1])
def test_an_image_that_ends_early_is_an_error_and_not_an_end(
    zone, store, image, left
):
    """The file on the disk is shorter than the catalog knows."""
    with open(zone.server.replica(path_of(zone)).path, 'r+b') as file:
        file.truncate(left)
    chunks, size = store.get(irods.location_of(store, image))
    assert size == len(IMAGE)
    seen = b''
    with pytest.raises(exceptions.BackendException, match=f'byte {left}'):
        for chunk in chunks:
            seen += chunk
    assert seen == IMAGE[:left]


# Connections that break.

BREAKS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7]


@pytest.mark.parametrize('after', BREAKS)
@pytest.mark.parametrize('dies', [False, True])
def test_an_image_is_read_on_where_the_connection_broke(
    zone, store, image, impatient, after, dies
):
    """Also in the middle of an answer, where the client would spin."""
    faults = zone.server.faults
    if dies:
        faults.agent_dies_on('read', after_bytes=after)
    else:
        faults.drop_after_bytes(after, 'read')
    assert irods.read(store, image, offset=7) == IMAGE[7:]
    assert zone.server.bytes_read < len(IMAGE) + CHUNK


@pytest.mark.parametrize('phase', ['query', 'open', 'lseek', 'close'])
@pytest.mark.parametrize('after', [False, True])
def test_a_connection_that_breaks_at_any_step_is_replaced(
    zone, store, image, impatient, phase, after
):
    zone.server.faults.drop_on(phase, after=after)
    assert irods.read(store, image, offset=5) == IMAGE[5:]


def test_a_connection_that_always_breaks_is_given_up(
    zone, store, image, impatient
):
    zone.server.faults.drop_on('read', times=100)
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        irods.read(store, image)
    assert len(zone.server.calls_of('read')) == 4


def test_breaking_often_is_no_reason_to_give_up_what_goes_on(
    zone, store, impatient
):
    content = data.some(20 * CHUNK)
    url = zone.put('image', content)
    for n in range(10):
        zone.server.faults.drop_after_bytes(n * (CHUNK + 9), 'read')
    assert irods.read(store, url) == content


def test_a_zone_that_hangs_is_left_for_a_new_connection(zone, impatient):
    store = zone.store(timeout=irods.SOON)
    url = zone.put('image', IMAGE)
    hang = zone.server.faults.hang_on('read', after_bytes=CHUNK + 1)
    assert irods.read(store, url) == IMAGE
    hang.release()


def test_a_zone_that_is_gone_is_unavailable_until_it_is_back(
    zone, store, image, impatient
):
    chunks, _size = store.get(irods.location_of(store, image))
    next(chunks)
    zone.server.stop()
    with pytest.raises(exceptions.RemoteServiceUnavailable):
        next(chunks)
    for ask in (irods.read, irods.get_size):
        with pytest.raises(exceptions.RemoteServiceUnavailable):
            ask(store, image)
    zone.server.start()
    assert irods.read(store, image) == IMAGE


def test_an_image_that_was_replaced_meanwhile_is_not_read_on(
    zone, store, image, impatient
):
    chunks, _size = store.get(irods.location_of(store, image))
    next(chunks)
    store.remove(path_of(zone))
    zone.put('image', bytes(len(IMAGE)))
    zone.server.faults.drop_on('read')
    with pytest.raises(exceptions.BackendException, match='replaced'):
        next(chunks)


# Those who read.

@pytest.mark.parametrize('taken', [0, 1, 2])
@pytest.mark.parametrize('ends', ['close', 'forget', 'throw'])
def test_a_reader_that_stops_gives_its_connection_back(
    zone, store, image, taken, ends
):
    chunks, _size = store.get(irods.location_of(store, image))
    for _ in range(taken):
        next(chunks)
    if ends == 'close':
        chunks.close()
    elif ends == 'throw':
        with pytest.raises(ZeroDivisionError):
            chunks.throw(ZeroDivisionError)
    else:
        del chunks
        gc.collect()
    assert store.sessions.in_use == 0
    assert zone.server.open_files == 0
    assert zone.server.active_connections == 1
    assert irods.read(store, image) == IMAGE


def test_many_read_and_write_at_the_same_time(zone):
    store = zone.store(pool_size=4)
    urls = [zone.put(f'old{n}', data.some(CHUNK + n, n)) for n in range(8)]
    reading = [threads.Running(irods.read, store, url) for url in urls]
    writing = [
        threads.Running(
            irods.add, store, data.some(CHUNK - n, n), f'new{n}'
        ) for n in range(8)
    ]
    for n in range(8):
        assert reading[n].result() == data.some(CHUNK + n, n)
        url = writing[n].result()[0]
        assert irods.read(store, url) == data.some(CHUNK - n, n)
    assert zone.server.active_connections <= 4


# Over several connections.

@pytest.fixture
def parallel(zone):
    return zone.store('parallel', transfer_threads=3)


@pytest.mark.parametrize('size', [
    0, 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 1, 7 * CHUNK - 1,
])
def test_an_image_is_read_over_several_connections(zone, parallel, size):
    content = data.some(size)
    assert irods.read(parallel, zone.put('other', content)) == content
    assert zone.server.active_connections <= 3


@pytest.mark.parametrize(('offset', 'length'), [
    (1, None), (CHUNK - 1, 2), (CHUNK + 7, 3 * CHUNK), (3 * CHUNK, CHUNK),
])
def test_a_part_is_read_over_several_connections(
    parallel, image, offset, length
):
    end = None if length is None else offset + length
    assert irods.read(
        parallel, image, offset=offset, chunk_size=length
    ) == IMAGE[offset:end]


def test_the_connections_read_at_the_same_time(zone, parallel, image):
    hanging = [
        zone.server.faults.hang_on('read', skip=skip) for skip in range(3)
    ]
    reading = threads.Running(irods.read, parallel, image)
    for each in hanging:
        each.wait_until_reached()
    for each in hanging:
        each.release()
    assert reading.result() == IMAGE


def test_no_more_connections_are_used_than_are_free(zone, image):
    store = zone.store('small', transfer_threads=4, pool_size=2)
    both = [threads.Running(irods.read, store, image) for _ in range(6)]
    for each in both:
        assert each.result() == IMAGE
    assert zone.server.active_connections <= 2


@pytest.mark.parametrize('skip', range(5))
def test_one_of_several_connections_that_is_lost_reads_on(
    zone, parallel, image, skip, impatient
):
    zone.server.faults.drop_on('read', skip=skip)
    assert irods.read(parallel, image) == IMAGE


def test_an_object_that_is_short_fails_on_all_connections(
    zone, parallel, image
):
    zone.server.set_replica(path_of(zone), size=len(IMAGE) + 2 * CHUNK)
    with pytest.raises(exceptions.BackendException, match='ends at byte'):
        irods.read(parallel, image)


@pytest.mark.parametrize('taken', [1, 2])
def test_a_reader_that_stops_gives_all_connections_back(
    zone, parallel, image, taken
):
    chunks, _size = parallel.get(irods.location_of(parallel, image))
    for _ in range(taken):
        next(chunks)
    chunks.close()
    assert parallel.sessions.in_use == 0
    assert zone.server.open_files == 0
