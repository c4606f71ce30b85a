# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import io
import threading
import tracemalloc
import uuid

from glance_store import exceptions
import pytest

from glance_store_irods import api
from tests import irods_server
from tests.parts import data
from tests.parts import irods
from tests.parts import threads
from tests.parts.irods import CHUNK

IMAGE = data.some(3 * CHUNK + 5)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]


class Broken(Exception):
    """What a source raises; the driver has never heard of it."""


def sha512(content):
    """Return the checksum of a zone with that scheme, before it is cut."""
    digest = hashlib.sha512(content).digest()
    return f'sha512:{base64.b64encode(digest).decode()}'


def breaking(at, error=Broken):
    """Yield so much of the image, and then raise."""
    for start in range(0, at, 1000):
        yield IMAGE[start:min(start + 1000, at)]
    raise error('the source broke')


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


@pytest.mark.parametrize('pieces', [1, CHUNK - 1, CHUNK + 1, 3 * CHUNK])
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


@pytest.mark.parametrize('algorithm', ['sha256', 'md5', 'sha3_512'])
def test_the_image_is_hashed_and_verified_as_it_is_asked_for(
    store, algorithm
):
    class Verifier:
        seen = b''

        def update(self, chunk):
            self.seen += chunk

    verifier = Verifier()
    added = irods.add(store, IMAGE, algorithm=algorithm, verifier=verifier)
    assert added[3] == hashlib.new(algorithm, IMAGE).hexdigest()
    assert added[2] == data.md5(IMAGE)
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
    irods.delete(store, url)
    assert zone.objects() == []


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


def test_the_image_is_not_kept_in_memory(zone):
    """Three chunks are; what goes through is ten times as much."""
    store = zone.store(chunk_size=1024 * 1024)
    chunk, count = data.some(1024 * 1024), 32

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


# What exists stays.

def test_what_exists_is_not_overwritten_and_the_image_not_read(zone, store):
    zone.put('image', b'another one')
    error = zone.fails(store, exceptions.Duplicate, breaking(0))
    assert 'image' in str(error)
    assert zone.server.content(f'{zone.collection}/image') == b'another one'
    assert zone.server.calls_of('open') == []


@pytest.mark.parametrize('status', [0, 2, 4])
def test_not_even_something_incomplete_is_overwritten(zone, store, status):
    zone.put('image', b'half of')
    zone.server.set_replica(f'{zone.collection}/image', status=status)
    zone.fails(store, exceptions.Duplicate, IMAGE)


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
    zone.fails(store, exceptions.Duplicate, IMAGE)
    assert zone.server.content(path) == b'not yours'


def test_a_partial_object_of_somebody_else_is_not_touched(
    zone, store, monkeypatch
):
    """However unlikely it is that it has the very name."""
    number = uuid.uuid4()
    monkeypatch.setattr(uuid, 'uuid4', lambda: number)
    name = f'image.{number.hex[:12]}.part'
    zone.put(name, b'in the making')
    zone.fails(store, exceptions.Duplicate, IMAGE)
    assert zone.server.content(f'{zone.collection}/{name}') == (
        b'in the making'
    )


def test_what_a_dead_process_left_is_not_in_the_way(zone, store):
    for name in ('image.part', 'image.0123456789ab.part'):
        zone.put(name, b'half of')
        zone.server.set_replica(f'{zone.collection}/{name}', status=2)
    irods.add(store, IMAGE)
    assert 'image' in zone.objects()


def test_of_two_that_add_the_same_image_one_succeeds(zone, store):
    barrier = threading.Barrier(2)

    def source(content):
        barrier.wait(60)
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


# Sources that fail.

@pytest.mark.parametrize('at', [0, 1, CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize('error', [
    Broken, OSError, SystemExit, exceptions.RemoteServiceUnavailable,
])
def test_a_source_that_breaks_leaves_nothing_and_its_own_error(
    zone, store, at, error
):
    caught = zone.fails(store, error, breaking(at, error))
    assert type(caught) is error
    assert 'the source broke' in str(caught)


@pytest.mark.parametrize('size', [
    1, CHUNK, len(IMAGE) - 1, len(IMAGE) + 1, 2 * len(IMAGE),
])
def test_a_size_that_is_not_as_announced_leaves_nothing(zone, store, size):
    error = zone.fails(store, exceptions.Invalid, IMAGE, size=size)
    assert str(size) in str(error)


def test_a_source_that_is_too_long_is_not_read_to_its_end(zone, store):
    def endless():
        while True:
            yield bytes(CHUNK)

    zone.fails(store, exceptions.Invalid, endless(), size=2 * CHUNK + 1)
    assert zone.server.bytes_written <= 3 * CHUNK


def test_a_verifier_that_fails_leaves_nothing(zone, store):
    class Verifier:
        def update(self, chunk):
            raise Broken('not signed by you')

    zone.fails(store, Broken, IMAGE, verifier=Verifier())


# What arrived is not what was sent.

class Meanwhile:
    """Adds an image; something happens to its object in the meantime.

    :param api: the call of the driver at which it happens
    :param after: when the zone has done that
    """

    def __init__(self, zone, store, api, after):
        self._hang = zone.server.faults.hang_on(api, after=after)
        self._adding = threads.Running(irods.add, store, IMAGE)
        self._hang.wait_until_reached()
        [name] = zone.objects()
        self.path = f'{zone.collection}/{name}'

    def result(self):
        self._hang.release()
        return self._adding.result()


def corrupted(number):
    return lambda server, path: server.corrupt(path, CHUNK, number)


def changed(number, **what):
    return lambda server, path: server.set_replica(path, number, **what)


@pytest.mark.parametrize(('replica', 'api', 'after', 'change', 'said'), [
    (None, 'checksum', False, corrupted(0), 'sha256'),
    (None, 'close', True, changed(0, size=5), '5 bytes'),
    ('second', 'replicate', True, corrupted(1), 'sha256'),
    ('second', 'replicate', True, changed(1, status=0), 'no good replica'),
    ('second', 'replicate', True, changed(1, size=5), 'no good replica'),
])
def test_what_is_not_as_it_was_sent_is_noticed_and_removed(
    zone, replica, api, after, change, said
):
    zone.server.add_resource('second')
    store = zone.store(replica_res=replica)
    adding = Meanwhile(zone, store, api, after)
    change(zone.server, adding.path)
    with pytest.raises(exceptions.BackendException, match=said):
        adding.result()
    assert zone.objects() == []


@pytest.mark.parametrize('wrong', [None, 0, 1])
def test_replicas_that_the_zone_makes_by_itself_are_verified_too(zone, wrong):
    """As a resource that replicates does, before it answers."""
    zone.server.add_resource('second')
    adding = Meanwhile(zone, zone.store(), 'close', True)
    with zone.store('s2').sessions.lease() as lease:
        api.replicate(lease, adding.path, 'second')
    if wrong is None:
        adding.result()
        path = f'{zone.collection}/image'
        assert [each.checksum for each in zone.server.replicas(path)] == [
            irods.sha2(IMAGE)
        ] * 2
        return
    zone.server.corrupt(adding.path, 7, number=wrong)
    with pytest.raises(exceptions.BackendException, match='sha256'):
        adding.result()
    assert zone.objects() == []


@pytest.mark.parametrize(('checksum', 'wrong'), [
    (data.md5(IMAGE), None), (data.md5(b''), 'md5 checksum'),
    (sha512(IMAGE), None), (sha512(b''), 'sha512 checksum'),
    (f'{sha512(IMAGE)[:64]}\x01garbage', None),
    (sha512(IMAGE)[:20], 'sha512 checksum'),
    ('sha2:', 'sha256 checksum'), ('unknown', 'md5 checksum'),
])
def test_checksums_of_other_schemes_are_compared_too(
    zone, store, checksum, wrong
):
    """A zone can have md5 as its scheme, or sha512, which it cuts."""
    adding = Meanwhile(zone, store, 'close', True)
    zone.server.set_replica(adding.path, checksum=checksum)
    if wrong is None:
        adding.result()
        return
    with pytest.raises(exceptions.BackendException, match=wrong):
        adding.result()
    assert zone.objects() == []


@pytest.mark.parametrize('checksum', ['adler32:0011', 'sha1:x'])
@pytest.mark.parametrize('damaged', [False, True])
def test_what_cannot_be_compared_by_checksum_is_read_back(
    zone, store, checksum, damaged
):
    adding = Meanwhile(zone, store, 'close', True)
    zone.server.set_replica(adding.path, checksum=checksum)
    if not damaged:
        adding.result()
        assert zone.server.bytes_read == len(IMAGE)
        return
    zone.server.corrupt(adding.path, 7)
    with pytest.raises(exceptions.BackendException, match='sha256'):
        adding.result()
    assert zone.objects() == []


@pytest.mark.parametrize('store_with', [{'replica_res': 'second'}, {}])
def test_a_zone_whose_checksums_are_too_long_can_be_used(
    tmp_path, store_with
):
    with irods_server.IrodsServer(tmp_path, hash_scheme='sha512') as server:
        server.add_resource('second')
        zone = irods.Irods(server)
        store = zone.store(**store_with)
        url, *_rest = irods.add(store, IMAGE)
        assert irods.read(store, url) == IMAGE
        assert server.bytes_read == len(IMAGE)
        zone.end()
