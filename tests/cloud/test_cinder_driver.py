# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The driver ``cinder_multi`` by itself, with the real Cinder and Ceph.

``CINDER_DRIVER=cinder`` runs the same tests with glance_store's own driver.
"""

from concurrent import futures
import io
import uuid

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions
import pytest

from tests.cloud import cinder_parts
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

GIB = 1024 * MIB
ERRORS = (exceptions.GlanceStoreException, exceptions.BackendException)


@pytest.fixture
def both(cloud, open_stores):
    """Two stores with the two types."""
    return open_stores(
        fast=given.cinder(cloud, 'glance-fast', driver=DRIVER),
        slow=given.cinder(cloud, 'glance-slow', driver=DRIVER),
    )


@pytest.fixture
def gated(cloud, open_stores, gate):
    """One store that reaches Cinder through the gate."""
    return open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER,
        cinder_os_region_name=cinder_parts.FAULTY_REGION,
    ))


@pytest.fixture
def image(both, block):
    """An image of several chunks: its URL, its volume, and its bytes."""
    content = helpers.data(20 * MIB)
    _, url = both.add('fast', content)
    yield url, cinder_parts.volume_of(url), content
    both.delete('fast', url)


def attachments(cloud, volume_id):
    return cloud.cinder().attachments.list(search_opts={
        'all_tenants': 1, 'volume_id': volume_id,
    })


# What is stored.

@pytest.mark.parametrize('size', [0, 1, 4 * MIB, 9 * MIB + 5])
@pytest.mark.parametrize('known', [True, False])
def test_what_was_written_is_read(both, size, known):
    content = helpers.data(size)
    _, url = both.add('fast', content, size if known else 0)
    assert both.read('fast', url) == content
    assert both['fast'].get_size(both.at('fast', url)) == size
    both.delete('fast', url)


@pytest.mark.parametrize('offset, length', [
    (0, 1), (0, 5 * MIB), (4 * MIB - 1, 2), (7, None), (20 * MIB - 1, None),
    (19 * MIB, 4 * MIB), (20 * MIB, None),
])
def test_any_part_can_be_read(both, image, offset, length):
    url, _, content = image
    end = None if length is None else offset + length
    assert both.read(
        'fast', url, offset=offset, chunk_size=length
    ) == content[offset:end]


def test_a_volume_tells_its_image_and_is_read_only(both, image, block):
    url, volume_id, content = image
    volume = block('glance').volumes.get(volume_id)
    assert url == f'cinder://fast/{volume_id}'
    assert volume.volume_type == 'glance-fast'
    assert volume.name == f'image-{volume.metadata["glance_image_id"]}'
    assert volume.metadata['image_size'] == str(len(content))
    assert volume.metadata['image_owner'] == 'a project'
    assert volume.metadata['readonly'] == 'True'
    assert not [key for key in volume.metadata if 'writer' in key]
    assert volume.status == 'available'


def test_what_the_driver_of_glance_store_wrote_is_read_and_deleted(
    cloud, open_stores
):
    told = given.cinder(cloud, 'glance-fast')
    stock = open_stores(fast=told)
    content = helpers.data(5 * MIB)
    _, url = stock.add('fast', content)
    ours = open_stores(fast={**told, 'driver': DRIVER})
    assert ours.read('fast', url) == content
    ours.delete('fast', url)


def test_the_driver_of_glance_store_reads_and_deletes_what_this_one_wrote(
    cloud, open_stores
):
    told = given.cinder(cloud, 'glance-fast')
    content = helpers.data(5 * MIB)
    _, url = open_stores(fast={**told, 'driver': DRIVER}).add('fast', content)
    stock = open_stores(fast=told)
    assert stock.read('fast', url) == content
    stock.delete('fast', url)


# Errors while writing: the fixture nothing_left looks for what stays.

def test_a_volume_that_ends_in_an_error_is_removed(both):
    with pytest.raises(exceptions.BackendException):
        both.add('fast', b'', size=2048 * GIB)


def test_a_volume_is_removed_if_cinder_made_it_and_said_something_else(
    gated, gate
):
    gate.fail('POST', '/volumes ', 1, after=True)
    with pytest.raises(ERRORS):
        gated.add('fast', b'1234')


@pytest.mark.parametrize('method, part', [
    ('POST', '/attachments '), ('PUT', '/attachments/'),
    ('POST', 'os-complete'), ('POST', 'os-update_readonly_flag'),
])
@pytest.mark.parametrize('after', [False, True])
def test_a_step_that_fails_for_good_leaves_nothing(
    gated, gate, method, part, after
):
    gate.fail(method, part, 100, after=after)
    with pytest.raises(ERRORS + (cinder_exceptions.ClientException,)):
        gated.add('fast', b'1234')
    gate.heal()


class Broken(io.BytesIO):
    def read(self, size=-1):
        if self.tell():
            raise RuntimeError('the source is broken')
        return super().read(min(size, MIB))


def test_a_source_that_breaks_leaves_nothing(both):
    with pytest.raises(RuntimeError, match='the source is broken'):
        both.add('fast', b'', 5 * MIB, Broken(bytes(5 * MIB)))


@pytest.mark.parametrize('size', [3, 5])
def test_an_image_of_another_size_than_announced_leaves_nothing(both, size):
    with pytest.raises(exceptions.Invalid):
        both.add('fast', b'', size, io.BytesIO(b'four'))


def test_a_writer_that_ceph_evicts_leaves_nothing(cloud, both, block):
    slow = cinder_parts.Slow(bytes(20 * MIB), 8 * MIB)
    with futures.ThreadPoolExecutor() as beside:
        adding = beside.submit(both.add, 'fast', b'', 20 * MIB, slow)
        assert slow.begun.wait(60)
        (volume,) = block('glance').volumes.list()
        cinder_parts.evict(cloud, 'fast', volume.id)
        slow.go_on.set()
        with pytest.raises(exceptions.BackendException):
            adding.result()


# Errors while reading.

def test_an_error_in_the_middle_of_reading_is_raised(cloud, both, image):
    url, volume_id, content = image
    chunks = both.get('fast', url)
    assert next(chunks) == content[:4 * MIB]
    cinder_parts.evict(cloud, 'fast', volume_id)
    with pytest.raises(exceptions.BackendException):
        b''.join(chunks)
    assert both.read('fast', url) == content


@pytest.mark.parametrize('size', ['12M', '11M'])
def test_a_volume_that_is_too_short_is_not_read_at_all(
    cloud, both, image, size
):
    url, volume_id, _ = image
    cloud.ceph.run(
        'rbd', 'resize', '--allow-shrink', '--no-progress', '--size', size,
        cinder_parts.image_in_ceph('fast', volume_id),
    )
    with pytest.raises(exceptions.BackendException):
        both.read('fast', url)
    assert attachments(cloud, volume_id) == []


def test_a_volume_that_gets_too_short_while_it_is_read_is_an_error(
    cloud, both, image
):
    url, volume_id, _ = image
    chunks = both.get('fast', url)
    next(chunks)
    cloud.ceph.run(
        'rbd', 'resize', '--allow-shrink', '--no-progress', '--size', '11M',
        cinder_parts.image_in_ceph('fast', volume_id),
    )
    with pytest.raises(exceptions.BackendException):
        b''.join(chunks)


def test_a_volume_that_is_gone_is_not_found(both):
    url = f'cinder://fast/{uuid.uuid4()}'
    for call in (both.read, both.delete):
        with pytest.raises(exceptions.NotFound):
            call('fast', url)
    with pytest.raises(exceptions.NotFound):
        both['fast'].get_size(both.at('fast', url))


# Several at a time.

def test_readers_of_one_image_share_one_attachment(cloud, both, image):
    url, volume_id, content = image
    first = both.get('fast', url)
    got = next(first)
    with futures.ThreadPoolExecutor(4) as beside:
        others = [
            beside.submit(both.read, 'fast', url) for _ in range(4)
        ]
        for each in others:
            assert each.result() == content
    assert len(attachments(cloud, volume_id)) == 1
    assert got + b''.join(first) == content
    assert attachments(cloud, volume_id) == []


def test_readers_that_begin_and_end_at_any_time_all_get_the_image(
    cloud, both, image
):
    url, volume_id, content = image
    with futures.ThreadPoolExecutor(3) as beside:
        for each in [
            beside.submit(both.read, 'fast', url) for _ in range(12)
        ]:
            assert each.result() == content
    assert attachments(cloud, volume_id) == []


@pytest.mark.parametrize('closed', [True, False])
def test_a_reader_that_stops_early_detaches_the_volume(
    cloud, both, image, closed
):
    url, volume_id, _ = image
    chunks = both.get('fast', url)
    next(chunks)
    if closed:
        chunks.close()
    del chunks
    helpers.wait_until(
        lambda: not attachments(cloud, volume_id), 'the volume to be free'
    )


def test_an_image_that_is_being_read_is_in_use(both, image):
    url, _, content = image
    chunks = both.get('fast', url)
    got = next(chunks)
    with pytest.raises(exceptions.InUseByStore):
        both.delete('fast', url)
    assert got + b''.join(chunks) == content


def test_an_image_that_another_process_reads_is_in_use(both, image):
    url, _, content = image
    with cinder_parts.Other(both, 'read', 'fast', url) as other:
        with pytest.raises(exceptions.InUseByStore):
            both.delete('fast', url)
        other.go_on()
        other.end()
    assert both.read('fast', url) == content


def test_a_volume_with_a_snapshot_is_not_deleted(both, image, block):
    url, volume_id, _ = image
    cinder = block('glance')
    snapshot = cinder.volume_snapshots.create(volume_id)
    helpers.wait_until(
        lambda: cinder.volume_snapshots.get(snapshot.id).status
        == 'available', 'the snapshot',
    )
    with pytest.raises(exceptions.HasSnapshot):
        both.delete('fast', url)
    cinder.volume_snapshots.delete(snapshot)
    helpers.wait_until(
        lambda: not cinder.volume_snapshots.list(), 'the snapshot to be gone'
    )


def test_a_reader_waits_for_one_in_another_process(both, image):
    url, _, content = image
    with (
        cinder_parts.Other(both, 'read', 'fast', url) as other,
        futures.ThreadPoolExecutor() as beside,
    ):
        reading = beside.submit(both.read, 'fast', url)
        with pytest.raises(futures.TimeoutError):
            reading.result(3)
        other.go_on()
        other.end()
        assert reading.result(60) == content


def test_a_reader_does_not_wait_for_ever(cloud, open_stores, both, image):
    url, _, _ = image
    hasty = open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER,
        cinder_state_transition_timeout=4,
    ))
    with (
        cinder_parts.Other(both, 'read', 'fast', url) as other,
        pytest.raises(exceptions.RemoteServiceUnavailable) as caught,
    ):
        hasty.read('fast', url)
    assert f'process {other.pid} on host' in str(caught.value)
    hasty.read('fast', url)


# Processes that were killed.

def test_what_a_killed_reader_has_attached_does_not_keep_others_away(
    cloud, both, image, own_environment
):
    url, volume_id, content = image
    with cinder_parts.Other(both, 'read', 'fast', url) as other:
        other.kill()
    assert len(attachments(cloud, volume_id)) == 1
    assert both.read('fast', url) == content
    assert attachments(cloud, volume_id) == []


def test_what_a_killed_reader_has_attached_can_be_deleted(both):
    _, url = both.add('fast', helpers.data(9 * MIB))
    with cinder_parts.Other(both, 'read', 'fast', url) as other:
        other.kill()
    both.delete('fast', url)


def test_no_key_of_ceph_lies_in_a_file_while_a_volume_is_open(
    both, image, own_environment
):
    url, _, _ = image
    chunks = both.get('fast', url)
    next(chunks)
    assert [
        path for path in own_environment.rglob('*')
        if path.is_file() and not path.is_socket()
    ] == []
    chunks.close()


# Detaching that fails.

def test_a_failure_to_detach_is_tried_again_at_once(gated, gate, cloud):
    content = helpers.data(9 * MIB)
    _, url = gated.add('fast', content)
    gate.fail('DELETE', '/attachments/', 2)
    assert gated.read('fast', url) == content
    assert attachments(cloud, cinder_parts.volume_of(url)) == []
    gated.delete('fast', url)


def test_a_volume_that_could_not_be_detached_is_detached_later(
    gated, gate, cloud
):
    content = helpers.data(9 * MIB)
    _, url = gated.add('fast', content)
    gate.fail('DELETE', '/attachments/', 1000)
    assert gated.read('fast', url) == content
    assert len(attachments(cloud, cinder_parts.volume_of(url))) == 1
    gate.heal()
    helpers.wait_until(
        lambda: not attachments(cloud, cinder_parts.volume_of(url)),
        'the volume to be free',
    )
    gated.delete('fast', url)


# Sizes that are not known.

class Zeros(io.RawIOBase):
    def __init__(self, size):
        self._left = size

    def read(self, size=-1):
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


@pytest.mark.parametrize('online', [False, True])
def test_a_volume_of_unknown_size_grows_in_large_steps(
    cloud, open_stores, gate, online, block
):
    gated = open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER,
        cinder_os_region_name=cinder_parts.FAULTY_REGION,
        cinder_do_extend_attached=online,
    ))
    size = 3 * GIB + 1
    _, url = gated.add('fast', b'', 0, Zeros(size))
    assert gated['fast'].get_size(gated.at('fast', url)) == size
    assert gated.read('fast', url, offset=size - 3) == bytes(3)
    assert gate.count('POST', 'os-extend') == 2
    gated.delete('fast', url)
