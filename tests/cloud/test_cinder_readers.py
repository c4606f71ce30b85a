# SPDX-License-Identifier: Apache-2.0

"""The driver ``cinder_multi`` by itself: readers, alone and together.

``CINDER_DRIVER=cinder`` runs the same tests with glance_store's own driver.
"""

from concurrent import futures
import uuid

from glance_store import exceptions
import pytest

from tests.cloud import cinder_parts
from tests.cloud.cinder_parts import DRIVER
from tests.cloud.helpers import attachments
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')


# Errors while reading.

@pytest.mark.fails_with_stock('the data just end')
def test_an_error_in_the_middle_of_reading_is_raised(cloud, both, image):
    url, volume_id, content = image
    chunks = both.get('fast', url)
    assert next(chunks) == content[:4 * MIB]
    cinder_parts.evict(cloud, 'fast', volume_id)
    with pytest.raises(exceptions.BackendException):
        b''.join(chunks)
    assert both.read('fast', url) == content


@pytest.mark.fails_with_stock('the data just end')
def test_a_volume_that_is_too_short_is_not_read_at_all(cloud, both, image):
    url, volume_id, _ = image
    cloud.ceph.run(
        'rbd', 'resize', '--allow-shrink', '--no-progress', '--size', '12M',
        cinder_parts.image_in_ceph('fast', volume_id),
    )
    with pytest.raises(exceptions.BackendException):
        both.read('fast', url)
    assert attachments(cloud, volume_id) == []


@pytest.mark.fails_with_stock('the data just end')
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

@pytest.mark.fails_with_stock('the others wait for an attachment in vain')
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


@pytest.mark.fails_with_stock('it is a BackendException, which is a 500')
def test_an_image_that_is_being_read_is_in_use(both, image):
    url, _, content = image
    chunks = both.get('fast', url)
    got = next(chunks)
    with pytest.raises(exceptions.InUseByStore):
        both.delete('fast', url)
    assert got + b''.join(chunks) == content


@pytest.mark.fails_with_stock('it is a BackendException, which is a 500')
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


def test_a_reader_waits_for_one_in_another_process(
    both, image, gated, gate
):
    url, _, content = image
    with (
        cinder_parts.Other(both, 'read', 'fast', url) as other,
        futures.ThreadPoolExecutor() as beside,
    ):
        reading = beside.submit(gated.read, 'fast', url)
        helpers.wait_until(
            lambda: gate.count('POST', '/attachments ') > 1,
            'the reader to have been refused once',
        )
        other.go_on()
        other.end()
        assert reading.result(300) == content


def test_a_reader_does_not_wait_for_ever(cloud, open_stores, both, image):
    url, _, content = image
    told = given.cinder(cloud, 'glance-fast', driver=DRIVER)
    hasty = open_stores(fast={**told, 'cinder_state_transition_timeout': 4})
    with (
        cinder_parts.Other(both, 'read', 'fast', url) as other,
        pytest.raises(exceptions.RemoteServiceUnavailable) as caught,
    ):
        hasty.read('fast', url)
    assert f'process {other.pid} on host' in str(caught.value)
    assert open_stores(fast=told).read('fast', url) == content


# Processes that were killed.

@pytest.mark.fails_with_stock('the volume stays attached for ever')
def test_what_a_killed_reader_has_attached_does_not_keep_others_away(
    cloud, both, image, own_environment
):
    url, volume_id, content = image
    with cinder_parts.Other(both, 'read', 'fast', url) as other:
        other.kill()
    assert len(attachments(cloud, volume_id)) == 1
    assert both.read('fast', url) == content
    assert attachments(cloud, volume_id) == []


@pytest.mark.fails_with_stock('the volume stays attached for ever')
def test_what_a_killed_reader_has_attached_can_be_deleted(both):
    _, url = both.add('fast', helpers.data(9 * MIB))
    with cinder_parts.Other(both, 'read', 'fast', url) as other:
        other.kill()
    both.delete('fast', url)


@pytest.mark.fails_with_stock('os-brick keeps a file with the key')
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

@pytest.mark.fails_with_stock('it tries again after errors of another library')
def test_a_failure_to_detach_is_tried_again_at_once(gated, gate, cloud):
    content = helpers.data(9 * MIB)
    _, url = gated.add('fast', content)
    gate.fail('DELETE', '/attachments/', 2)
    assert gated.read('fast', url) == content
    assert attachments(cloud, cinder_parts.volume_of(url)) == []
    gated.delete('fast', url)


@pytest.mark.fails_with_stock('the volume stays attached for ever')
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
