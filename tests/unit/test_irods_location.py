# SPDX-License-Identifier: Apache-2.0

from glance_store import exceptions
import pytest

from glance_store_irods import location
from tests.parts import irods

PATH = '/tempZone/home/glance/images/8f1e'
SECRET = 'xyzzy'


def parsed(url):
    made = location.StoreLocation({}, None)
    made.parse_uri(url)
    return made


def test_a_url_states_zone_and_path_and_nothing_else():
    made = location.StoreLocation({'path': PATH}, None)
    assert made.get_uri() == 'irods://tempZone/home/glance/images/8f1e'


@pytest.mark.parametrize('path', [
    PATH, '/z/c/o', '/tempZone/a b/ü/100%/c?d=e#f', '/z/user@host:1/o',
    '/z/a&b/%41', '/z/.hidden/..o',
])
def test_a_path_survives_being_a_url(path):
    assert parsed(location.url_of(path)).path == path


@pytest.mark.parametrize('credentials', [
    f'rods:{SECRET}@', f'rods:{SECRET}@@/{SECRET}@', f'rods:{SECRET}:#?@', '',
])
def test_of_a_url_of_earlier_times_only_the_path_is_read(credentials):
    made = parsed(f'irods://{credentials}irods.example.org:1247{PATH}')
    assert made.path == PATH
    assert made.get_uri() == location.url_of(PATH)
    assert SECRET not in repr(vars(made))


@pytest.mark.parametrize('url', [
    'irods://', 'irods:///', 'irods://tempZone', 'irods://tempZone/o',
    'irods://tempZone/home/', 'irods://tempZone//home/o',
    'irods://tempZone/home/../other/o', 'irods://tempZone/home/./o',
    'irods://tempZone/home/..', 'irods://tempZone/home/%2e%2e/o',
    'irods://tempZone/home/%2e%2e%2fo', 'irods:///tempZone/home/o',
    'irods://tempZone/home/%00', 'irods://tempZone/home/o%0a',
    "irods://tempZone/home/o'x", 'irods://tempZone/home/%27',
    'irods://tempZone/home/%ff', 'file:///tempZone/home/o', 'irods',
    'IRODS:tempZone/home/o', 'irods+x://tempZone/home/o', '',
    f'irods://rods:{SECRET}@host:1247', f'irods://rods:{SECRET}@host:1247/z',
    f'irods://rods:{SECRET}@host:1247/z/../z/o',
    f'irods://rods:{SECRET}@host:1247//z/c/o',
    f'http://rods:{SECRET}@host/z/c/o',
])
def test_anything_else_is_refused_without_showing_it(url):
    with pytest.raises(exceptions.BadStoreUri) as caught:
        parsed(url)
    assert SECRET not in str(caught.value)
    assert str(caught.value).count('.') == 1


@pytest.mark.parametrize('url', [
    'irods://tempZone/home/glance/other/o',
    'irods://tempZone/home/glance/images2/o',
    'irods://tempZone/home/glance/images',
    'irods://otherZone/home/glance/images/o',
    f'irods://rods:{SECRET}@host:1247/tempZone/home/rods/o',
])
def test_a_store_refuses_what_does_not_lie_in_its_collection(store, url):
    made = irods.location_of(store, url)
    for refused in (store.get, store.get_size, store.delete):
        with pytest.raises(exceptions.BadStoreUri) as caught:
            refused(made)
        assert SECRET not in str(caught.value)


def test_the_prefix_of_a_store_fits_its_own_locations_only(zone):
    one = zone.store(path=zone.add_collection('a'))
    two = zone.store('s2', path=zone.add_collection('ab') + '/')
    prefixes = one.url_prefix, two.url_prefix
    assert prefixes == (
        'irods://tempZone/home/glance/a/', 'irods://tempZone/home/glance/ab/',
    )
    for store in (one, two):
        url = store.url_of(store.new_path('image'))
        assert [url.startswith(prefix) for prefix in prefixes] == [
            store is one, store is two
        ]


def test_two_stores_of_a_zone_keep_the_same_image(zone):
    stores = [
        zone.store(name, path=zone.add_collection(name))
        for name in ('s1', 's2')
    ]
    urls = [
        irods.add(store, store.backend_group.encode())[0]
        for store in stores
    ]
    for store, url in zip(stores, urls, strict=True):
        assert irods.read(store, url) == store.backend_group.encode()


@pytest.mark.parametrize('image_id', ['..', 'a/b', '', '.', "o'x", 'a\n'])
def test_what_cannot_be_a_name_is_no_image(store, image_id):
    with pytest.raises(exceptions.BadStoreUri):
        irods.add(store, b'data', image_id)


def test_images_with_a_url_of_earlier_times_are_served_and_deleted(
    zone, store
):
    zone.put('old', b'an old image')
    url = f'irods://rods:{SECRET}@gone.example.org:99{zone.collection}/old'
    assert irods.read(store, url) == b'an old image'
    assert irods.get_size(store, url) == 12
    irods.delete(store, url)
    assert zone.objects() == []
