# SPDX-License-Identifier: Apache-2.0

"""The driver ``cinder_multi`` by itself: what it writes, and what stays.

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
from tests.cloud.helpers import attachments
from tests.cloud.helpers import limited
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')

GIB = 1024 * MIB
ERRORS = (exceptions.GlanceStoreException, exceptions.BackendException)


# What is stored.

@pytest.mark.parametrize('size, known', [
    (0, True), (1, False), (4 * MIB, True), (9 * MIB + 5, False),
])
def test_what_was_written_is_read(both, size, known):
    content = helpers.data(size)
    _, url = both.add('fast', content, size if known else 0)
    assert both.read('fast', url) == content
    assert both['fast'].get_size(both.at('fast', url)) == size
    both.delete('fast', url)


def test_any_part_can_be_read(both, image):
    url, _, content = image
    for offset, length in (
        (0, 5 * MIB), (4 * MIB - 1, 2), (7, None), (19 * MIB, 4 * MIB),
        (20 * MIB, None),
    ):
        end = None if length is None else offset + length
        assert both.read(
            'fast', url, offset=offset, chunk_size=length
        ) == content[offset:end], (offset, length)


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

@pytest.mark.fails_with_stock('the volume stays')
def test_a_volume_that_ends_in_an_error_is_removed(both, nothing_left):
    with pytest.raises(exceptions.BackendException):
        both.add('fast', b'', size=2048 * GIB)
    nothing_left()


def test_a_volume_is_removed_if_cinder_made_it_and_said_something_else(
    gated, gate
):
    gate.fail('POST', '/volumes ', 1, after=True)
    with pytest.raises(ERRORS):
        gated.add('fast', b'1234')


@pytest.mark.parametrize('method, part, after', [
    ('POST', '/attachments ', False), ('POST', '/attachments ', True),
    ('PUT', '/attachments/', True), ('POST', 'os-complete', False),
    ('POST', 'os-update_readonly_flag', True),
])
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
        assert slow.begun.wait(300)
        (volume,) = block('glance').volumes.list()
        cinder_parts.evict(cloud, 'fast', volume.id)
        slow.go_on.set()
        with pytest.raises(exceptions.BackendException):
            adding.result()


@pytest.mark.fails_with_stock('it is a BackendException, which is a 500')
@pytest.mark.parametrize('limits', [{'volumes': 0}, {'gigabytes': 0}])
def test_a_quota_of_cinder_that_is_used_up_means_a_full_store(
    cloud, both, limits
):
    with limited(cloud, **limits), pytest.raises(exceptions.StorageFull):
        both.add('fast', b'1234')


def test_what_a_killed_writer_has_left_is_known_and_can_be_removed(
    cloud, both, block
):
    image_id = str(uuid.uuid4())
    with cinder_parts.Other(both, 'add', 'fast', image_id) as other:
        other.kill()
    (volume,) = both['fast'].image_volumes(image_id)
    assert volume.status == 'in-use'
    assert len(attachments(cloud, volume.id)) == 1
    assert both['fast'].is_partial(volume)
    both['fast'].remove_volume(volume.id)
    cinder_parts.wait_gone(block('glance'), volume.id)


# Sizes that are not known.

class Zeros(io.RawIOBase):
    def __init__(self, size):
        self._left = size

    def read(self, size=-1):
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


@pytest.mark.fails_with_stock('it grows by one GiB each time')
def test_a_volume_of_unknown_size_grows_in_larger_and_larger_steps(
    gated, gate, block
):
    size = 2 * GIB + 1
    _, url = gated.add('fast', b'', 0, Zeros(size))
    volume = block('glance').volumes.get(cinder_parts.volume_of(url))
    assert volume.size == 4
    assert gate.count('POST', 'os-extend') == 2
    assert gated['fast'].get_size(gated.at('fast', url)) == size
    assert gated.read('fast', url, offset=size - 3) == bytes(3)
    gated.delete('fast', url)


def test_a_volume_can_grow_while_it_is_attached(cloud, open_stores):
    stores = open_stores(fast=given.cinder(
        cloud, 'glance-fast', driver=DRIVER, cinder_do_extend_attached=True,
    ))
    size = GIB + 1
    _, url = stores.add('fast', b'', 0, Zeros(size))
    assert stores['fast'].get_size(stores.at('fast', url)) == size
    assert stores.read('fast', url, offset=size - 3) == bytes(3)
    stores.delete('fast', url)


def test_a_volume_that_may_not_grow_is_a_full_store_and_does_not_stay(
    cloud, both, nothing_left
):
    with limited(cloud, gigabytes=1), pytest.raises(exceptions.StorageFull):
        both.add('fast', b'', 0, Zeros(GIB + 1))
    nothing_left()
