# SPDX-License-Identifier: Apache-2.0

"""Copies that iRODS makes by itself, between collections and zones."""

import hashlib
import threading

from glance_store import exceptions
import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import irods as irods_backend
from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_store_irods import copying
from tests import irods_server
from tests.parts import data
from tests.parts import irods
from tests.parts import threads

IMAGE_ID = '71c675ab-d94f-49cd-a114-e12490b328d9'
IMAGE = data.some(5 * irods.CHUNK + 3)
INVENTORY = irods_backend.BACKEND.inventory


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(copying, 'LOOK', 0.02)


@pytest.fixture
def zone(tmp_path):
    with irods_server.IrodsServer(tmp_path) as server:
        made = irods.Irods(server)
        yield made
        made.end()


@pytest.fixture
def server(zone):
    return zone.server


@pytest.fixture
def first(zone):
    """The store that holds the image."""
    return zone.store('first')


@pytest.fixture
def second(zone):
    """The store that shall get it: another collection of the zone."""
    return zone.store('second', path=zone.add_collection('second'))


@pytest.fixture
def location(first):
    return located(first)


def located(store, content=IMAGE, **more):
    """Put an image into a store; return its Location."""
    url = irods.add(store, content, IMAGE_ID, **more)[0]
    return base.Location(store=store.backend_group, driver=store, url=url)


def request(target, *locations, content=IMAGE, **more):
    options = {
        'image_id': IMAGE_ID, 'size': len(content),
        'expected': data.expected(content), 'locations': locations,
        'target': base.Target(store=target.backend_group, driver=target),
        'verify': 'backend',
        'cancel': cancel_token.CancelToken(), 'on_bytes': lambda count: None,
    }
    return base.CopyRequest(**{**options, **more})


def copy(target, *locations, **more):
    return irods_backend.IrodsCopier().copy(
        request(target, *locations, **more)
    )


def can_copy(target, *locations):
    return irods_backend.IrodsCopier().can_copy(
        locations, base.Target(store=target.backend_group, driver=target)
    )


def names(server, store):
    return server.objects(store.settings.collection)


def assert_nothing(server, store):
    assert names(server, store) == []


def test_the_original_stays_and_the_copy_has_its_checksum(
    server, first, second, location
):
    path = first.path_of_url(location.url)
    before = server.replicas(path)
    stored = copy(second, location)
    assert server.replicas(path) == before
    assert irods.read(first, location.url) == IMAGE
    copied = second.path_of_url(stored.url)
    assert server.replica(copied).checksum == irods.sha2(IMAGE)


def test_the_name_appears_only_when_the_copy_is_complete(
    server, second, location
):
    hanging = server.faults.hang_on('checksum', path='.part')
    running = threads.Running(copy, second, location)
    hanging.wait_until_reached()
    (partial,) = names(server, second)
    assert partial.endswith('.part')
    hanging.release()
    running.result()
    assert [name.rpartition('/')[2] for name in names(server, second)] == [
        IMAGE_ID
    ]


# Which copies it takes upon itself.


def test_it_takes_an_image_that_the_account_of_the_target_sees(
    second, location
):
    assert can_copy(second, location)
    assert not can_copy(second)


def test_it_leaves_an_image_that_the_account_of_the_target_cannot_see(
    server, zone, location
):
    server.add_user('other', 'password of the other')
    path = f'/{server.zone}/home/other'
    stranger = zone.store(
        'stranger', user='other', password='password of the other', path=path
    )
    assert not can_copy(stranger, location)
    with pytest.raises(base.CannotServerCopy):
        copy(stranger, location)


def test_it_leaves_an_image_whose_object_is_gone(first, second, location):
    first.remove(first.path_of_url(location.url))
    assert not can_copy(second, location)
    with pytest.raises(base.CannotServerCopy):
        copy(second, location)


def test_it_leaves_an_image_while_the_zone_is_down(server, second, location):
    server.stop()
    assert not can_copy(second, location)


def test_it_copies_between_zones_that_know_each_other(
    tmp_path, zone, server, location
):
    with server.add_zone('otherZone') as other:
        far = irods.Irods(other)
        store = far.store('far')
        path = store.path_of_url(location.url)
        server.catalog.add_user(irods.USER, zone='otherZone')
        server.permit(path, irods.USER, 'read', zone='otherZone')
        assert not can_copy(store, location)
        server.permit(zone.collection, irods.USER, 'read', zone='otherZone')
        assert can_copy(store, location)
        server.counters.reset()
        other.counters.reset()
        stored = copy(store, location)
        assert irods.read(store, stored.url) == IMAGE
        assert server.bytes_read == server.bytes_written == 0
        assert other.bytes_written == 0
        far.end()


def test_it_copies_in_a_zone_whose_checksums_are_cut(tmp_path):
    with irods_server.IrodsServer(tmp_path, hash_scheme='sha512') as server:
        zone = irods.Irods(server)
        first = zone.store('first')
        second = zone.store('second', path=zone.add_collection('second'))
        stored = copy(second, located(first, IMAGE))
        assert irods.read(second, stored.url) == IMAGE
        zone.end()


# What proves the copy.


def test_a_source_that_was_spoiled_is_left_for_the_next(
    server, zone, first, second, location
):
    """The zone has its checksum from before, and notices."""
    server.corrupt(first.path_of_url(location.url))
    with pytest.raises(base.CannotServerCopy, match='checksum'):
        copy(second, location)
    assert_nothing(server, second)
    third = zone.store('third', path=zone.add_collection('third'))
    stored = copy(second, location, located(third))
    assert irods.read(second, stored.url) == IMAGE


def test_a_source_of_another_size_is_not_copied(server, first, second):
    location = located(first, IMAGE + b'x')
    with pytest.raises(base.CannotServerCopy, match='bytes'):
        copy(second, location)
    assert_nothing(server, second)


def test_the_hash_of_the_image_is_compared_where_the_zone_has_it(
    server, first, second
):
    location = located(first, data.flipped(IMAGE, 7))
    expected = digests.Expected.of_image(
        size=len(IMAGE), os_hash_algo='sha256',
        os_hash_value=hashlib.sha256(IMAGE).hexdigest(), checksum=None,
    )
    with pytest.raises(base.CannotServerCopy, match='sha256'):
        copy(second, location, expected=expected)
    assert_nothing(server, second)
    # The zone computes no sha512, and its checksum is right as such.
    copy(second, location)


def test_reading_back_compares_with_any_hash_of_the_image(
    server, first, second
):
    location = located(first, data.flipped(IMAGE, 7))
    with pytest.raises(base.CannotServerCopy, match='read back'):
        copy(second, location, verify='full')
    assert_nothing(server, second)


# What goes wrong.


@pytest.mark.parametrize(('api', 'code', 'error'), [
    ('copy', -513028, exceptions.StorageFull),
    ('copy', -110000, exceptions.StorageFull),
    ('copy', -818000, exceptions.StorageWriteDenied),
    ('copy', -78000, exceptions.BadStoreConfiguration),
    ('rename', -818000, exceptions.StorageWriteDenied),
])
def test_a_refusal_is_told_and_leaves_nothing(
    server, second, location, api, code, error
):
    server.faults.fail_on(api, code)
    with pytest.raises(error):
        copy(second, location)
    assert_nothing(server, second)


@pytest.mark.parametrize('api', ['copy', 'checksum', 'rename', 'query'])
@pytest.mark.parametrize('after', [False, True])
def test_a_lost_connection_leaves_nothing_or_the_whole(
    server, second, location, api, after
):
    server.faults.drop_on(api, path=IMAGE_ID, after=after)
    try:
        stored = copy(second, location)
    except (exceptions.RemoteServiceUnavailable, base.CannotServerCopy):
        assert_nothing(server, second)
    else:
        assert irods.read(second, stored.url) == IMAGE
        assert len(names(server, second)) == 1


def test_an_object_that_is_there_is_not_touched(server, second, location):
    path = second.new_path(IMAGE_ID)
    server.put(path, b'of somebody', user=irods.USER)
    with pytest.raises(exceptions.Duplicate):
        copy(second, location)
    assert server.content(path) == b'of somebody'


def test_a_stopped_copy_leaves_nothing(server, second, location):
    """The zone cannot be told: its copy is removed when it is made."""
    token = cancel_token.CancelToken()
    hanging = server.faults.hang_on('copy')
    running = threads.Running(copy, second, location, cancel=token)
    hanging.wait_until_reached()
    token.cancel(errors.Cancelled('the image was deleted'))
    hanging.release()
    with pytest.raises(errors.Cancelled):
        running.result()
    assert_nothing(server, second)


def test_a_copy_that_takes_long_shows_that_it_lives(server, second, location):
    alive = threading.Event()
    hanging = server.faults.hang_on('copy')
    running = threads.Running(
        copy, second, location, on_bytes=lambda count: alive.set()
    )
    hanging.wait_until_reached()
    alive.clear()
    assert alive.wait(60)
    hanging.release()
    running.result()


# What an interrupted copy has left.


def test_unfinished_objects_of_the_image_are_removed(server, second):
    path = second.new_path(IMAGE_ID)
    other = second.new_path(IMAGE_ID.replace('7', '8'))
    for each in (f'{path}.0123456789ab.part', path,
                 f'{other}.0123456789ab.part'):
        server.put(each, b'something', user=irods.USER)
    INVENTORY.remove_partial(second, IMAGE_ID)
    assert set(names(server, second)) == {
        path, f'{other}.0123456789ab.part'
    }


def test_an_object_that_no_location_names_is_found(
    server, second, location
):
    assert INVENTORY.unrecorded_url(second, IMAGE_ID, [location]) is None
    stored = copy(second, location)
    assert INVENTORY.unrecorded_url(
        second, IMAGE_ID, [location]
    ) == stored.url
    here = base.Location(store='second', driver=second, url=stored.url)
    assert INVENTORY.unrecorded_url(
        second, IMAGE_ID, [location, here]
    ) is None


def test_everything_with_the_id_of_an_image_is_listed(
    server, second, location
):
    path = second.new_path(IMAGE_ID)
    stored = copy(second, location)
    server.put(f'{path}.0123456789ab.part', b'half', user=irods.USER)
    server.put(second.new_path('notes'), b'of somebody', user=irods.USER)
    found = list(INVENTORY.list_objects(second))
    assert [(each.image_id, each.partial) for each in found] == [
        (IMAGE_ID, False), (IMAGE_ID, True)
    ]
    whole, half = found
    assert INVENTORY.size_of(second, whole) == len(IMAGE)
    assert INVENTORY.size_of(second, half) == 4
    assert INVENTORY.is_named(whole, [location.url, stored.url])
    assert INVENTORY.is_named(
        whole, [f'irods://joe:sesame@host:1247{path}']
    )
    assert not INVENTORY.is_named(whole, [location.url])
    INVENTORY.remove(second, half.place)
    INVENTORY.remove(second, half.place)
    assert INVENTORY.size_of(second, half) is None
    assert names(server, second) == [path, second.new_path('notes')]
