# SPDX-License-Identifier: Apache-2.0

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import types

import pytest

pytest.importorskip('os_brick', reason='the extra cinder is not installed')

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions
from keystoneauth1 import exceptions as keystone_exceptions
from oslo_utils import units

from glance_store_cinder import connectors
from glance_store_cinder import errors
from glance_store_cinder import locations
from glance_store_cinder import provenance
from glance_store_cinder import reading
from glance_store_cinder import volumes
from glance_store_cinder import writing

VOLUME = '3fa85f64-5717-4562-b3fc-2c963f66afa6'


# Locations.

@pytest.mark.parametrize('url', [
    f'cinder://{VOLUME}', f'cinder://fast/{VOLUME}',
])
def test_both_forms_of_a_location_name_a_volume(url):
    location = locations.StoreLocation({}, None, backend_group='fast')
    location.parse_uri(url)
    assert location.volume_id == VOLUME
    assert location.get_uri() == f'cinder://fast/{VOLUME}'


@pytest.mark.parametrize('url', [
    'cinder://', 'cinder://fast/', f'cinder://a/b/{VOLUME}',
    f'cinder_multi://fast/{VOLUME}', f'file://{VOLUME}',
    'cinder://fast/volume', f'cinder://fast/{VOLUME}/',
])
def test_what_is_no_location_is_refused(url):
    location = locations.StoreLocation({}, None, backend_group='fast')
    with pytest.raises(exceptions.BadStoreUri):
        location.parse_uri(url)


def test_the_prefix_of_a_store_is_not_that_of_one_with_a_longer_name():
    prefix = locations.prefix_of('fast')
    assert f'cinder://fast/{VOLUME}'.startswith(prefix)
    assert not f'cinder://faster/{VOLUME}'.startswith(prefix)
    # As glance.common.store_utils makes a new location.
    url = '%s/%s' % (prefix, VOLUME)  # noqa: UP031
    assert url == locations.url_of('fast', VOLUME)


# Sizes.

@pytest.mark.parametrize('size, expected', [
    (0, 1), (1, 1), (units.Gi, 1), (units.Gi + 1, 2), (7 * units.Gi, 7),
])
def test_a_volume_has_whole_gigabytes(size, expected):
    assert volumes.gigabytes_for(size) == expected


def test_a_volume_doubles_up_to_a_step_of_64_gigabytes():
    sizes = [1]
    while sizes[-1] < 300:
        sizes.append(writing.next_sizes(sizes[-1])[0])
    assert sizes == [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320]


def test_where_a_large_step_is_not_allowed_a_small_one_is_tried():
    assert writing.next_sizes(1) == [2]
    assert writing.next_sizes(8) == [16, 9]
    assert writing.next_sizes(200) == [264, 201]


def test_the_size_of_an_image_is_in_the_metadata_or_that_of_the_volume():
    volume = types.SimpleNamespace(metadata={'image_size': '5'}, size=2)
    assert provenance.image_size(volume) == 5
    for metadata in ({}, {'image_size': ''}, {'image_size': 'x'}):
        volume.metadata = metadata
        assert provenance.image_size(volume) == 2 * units.Gi


# Processes.

def test_a_process_is_dead_when_it_was_killed_and_not_before():
    code = (
        'from glance_store_cinder import provenance; '
        'print(provenance.process(), flush=True); input()'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE,
        stdin=subprocess.PIPE, text=True,
    ) as child:
        token = child.stdout.readline().strip()
        assert not provenance.is_dead(token)
        assert f'process {child.pid} on host' in provenance.describe(token)
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert provenance.is_dead(token)
    assert provenance.is_dead(token)


def test_another_process_with_the_same_number_is_not_the_same():
    host, boot, pid, start = provenance.process().split()
    assert not provenance.is_dead(f'{host} {boot} {pid} {start}')
    assert provenance.is_dead(f'{host} {boot} {pid} {int(start) - 1}')
    assert provenance.is_dead(f'{host} other {pid} {start}')


def test_of_another_host_nothing_is_known():
    _, boot, pid, _ = provenance.process().split()
    for token in (f'elsewhere {boot} {pid} 1', '', 'x', 'a b c d e'):
        assert not provenance.is_dead(token)


# Errors.

@pytest.mark.parametrize('error, expected', [
    (cinder_exceptions.NotFound(404), exceptions.NotFound),
    (cinder_exceptions.Forbidden(403), exceptions.Forbidden),
    (cinder_exceptions.Unauthorized(401), exceptions.Forbidden),
    (cinder_exceptions.OverLimit(413), exceptions.StorageFull),
    (cinder_exceptions.ClientException(500), errors.Unreachable),
    (cinder_exceptions.ClientException(503), errors.Unreachable),
    (cinder_exceptions.BadRequest(400), exceptions.BackendException),
    (keystone_exceptions.ConnectFailure(), errors.Unreachable),
    (keystone_exceptions.Unauthorized(), exceptions.Forbidden),
    (keystone_exceptions.ServiceUnavailable(), errors.Unreachable),
    (keystone_exceptions.EndpointNotFound(), exceptions.BackendException),
])
def test_errors_of_the_clients_become_those_of_glance_store(error, expected):
    with (
        pytest.raises(expected, match='Cinder could not do it'),
        errors.translated('do it'),
    ):
        raise error


# Files.

class Brick:
    """A host that sees a volume at a path."""

    def __init__(self, path):
        self.path = str(path)
        self.disconnected = False

    def connect_volume(self, _volume):
        return {'path': self.path}

    def yield_path(self, _volume, _file):
        """Only ScaleIO does something here."""

    def disconnect_volume(self, info):
        assert info == {'path': self.path}
        self.disconnected = True


def device_at(path, writable):
    """Return a device that is open, as on a host that os-brick connects."""
    volume = types.SimpleNamespace(id=VOLUME, multiattach=False)
    brick = Brick(path)
    device = connectors.HostDevice(volume, brick)
    device.open(writable, lambda _path: contextlib.nullcontext())
    return device, brick


def test_a_volume_that_is_opened_again_still_has_what_was_written(tmp_path):
    path = tmp_path / 'volume'
    path.touch()
    for offset, data in ((0, b'first'), (5, b'second')):
        device, brick = device_at(path, True)
        device.write(offset, data)
        device.flush()
        device.close()
        assert not brick.disconnected
        device.disconnect()
        assert brick.disconnected
    device, _ = device_at(path, False)
    assert device.size() == 11
    assert device.read(3, 4) == b'stse'
    with pytest.raises(exceptions.BackendException, match='ends at byte 11'):
        device.read(9, 4)
    device.close()


@pytest.mark.skipif(
    not os.path.exists('/dev/full'), reason='there is no /dev/full'
)
def test_a_device_without_room_is_full():
    device, _ = device_at('/dev/full', True)
    with pytest.raises(exceptions.StorageFull):
        device.write(0, b'1')
    device.close()


# Remembering.

def test_something_is_remembered_for_a_while():
    now = [0]
    memory = locations.Memory(now=lambda: now[0])
    assert 'a' not in memory
    memory.add('a', 10)
    assert 'a' in memory
    now[0] = 10
    assert 'a' not in memory


def test_what_is_remembered_does_not_grow_without_end():
    now = [0]
    memory = locations.Memory(now=lambda: now[0])
    for number in range(10001):
        memory.add(number, 10)
    assert 0 in memory
    assert 10000 not in memory
    now[0] = 11
    memory.add('a', 10)
    assert 'a' in memory


# Sharing.

class Attached:
    def __init__(self):
        self.closed = threading.Event()
        self.device = self

    def size(self):
        return 8

    def read(self, offset, size):
        return bytes(size)

    def close(self):
        self.closed.set()


def test_one_attachment_serves_all_readers_until_the_last_has_left():
    made = []

    def attach():
        made.append(Attached())
        return made[-1]

    readers = reading.Readers(5, later=pytest.fail)
    first, second = readers.acquire('v', attach), readers.acquire('v', attach)
    assert len(made) == 1
    first.release()
    assert not made[0].closed.is_set()
    assert readers.has('v')
    second.release()
    assert made[0].closed.is_set()
    assert not readers.has('v')
    readers.acquire('v', attach).release()
    assert len(made) == 2


def test_after_an_error_the_next_reader_attaches_anew():
    readers = reading.Readers(5, later=pytest.fail)
    first = readers.acquire('v', Attached)
    first.broken()
    second = readers.acquire('v', Attached)
    assert second.attachment is not first.attachment
    first.release()
    assert readers.has('v')
    second.release()
    assert not readers.has('v')


@pytest.fixture
def collected(monkeypatch):
    """Count the garbage collections that are asked for."""
    made, collect = [], gc.collect
    monkeypatch.setattr(gc, 'collect', lambda: made.append(collect()))
    return made


def test_a_reader_that_only_a_cycle_refers_to_is_found(collected):
    now, left = [0], []
    readers = reading.Readers(5, pytest.fail, lambda: now[0])
    cycle = [reading.Chunks(
        readers.acquire('v', Attached), 0, 8, 4, left.append
    )]
    cycle.append(cycle)
    next(cycle[0])
    gc.disable()
    try:
        del cycle
        now[0] = 9
        readers.collect_abandoned()
        assert left == [], 'it may be slow'
        now[0] = 10
        readers.collect_abandoned()
    finally:
        gc.enable()
    (release,) = left
    release()
    assert not readers.has('v')


def test_garbage_is_not_collected_all_the_time(collected):
    now = [0]
    readers = reading.Readers(5, pytest.fail, lambda: now[0])
    shared = readers.acquire('v', Attached)
    for second in range(100):
        now[0] = second
        readers.collect_abandoned()
    assert len(collected) == 4, 'after 10, 20, 40, and 80 seconds'
    shared.read(0, 4)
    now[0] += 10
    readers.collect_abandoned()
    assert len(collected) == 5
    shared.release()
    now[0] += 1000
    readers.collect_abandoned()
    assert len(collected) == 5, 'nobody reads'


def test_an_attachment_that_fails_is_no_reader():
    readers = reading.Readers(5, later=pytest.fail)

    def attach():
        raise errors.Unreachable(message='no')

    with pytest.raises(errors.Unreachable):
        readers.acquire('v', attach)
    assert not readers.has('v')
