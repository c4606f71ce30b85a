# SPDX-License-Identifier: Apache-2.0

"""Locations of earlier times, in a database that Glance's models make."""

from glance.db.sqlalchemy import api
from glance.db.sqlalchemy import models
from glance_store import exceptions
from oslo_db.sqlalchemy import enginefacade
import pytest

from glance_copy_plugin.audit import legacy_locations as legacy
from glance_copy_plugin.records import urls
from tests.parts import configured as stores
from tests.parts import irods

IMAGE = '22222222-1111-4222-8333-abcdefabcdef'
PASSWORD = 'sesame-opens'

configured = stores.configured


@pytest.fixture
def add(tmp_path, monkeypatch, configured, zone):
    """Return a function that adds a location; a store of iRODS is there."""
    database = enginefacade.transaction_context()
    database.configure(connection=f'sqlite:///{tmp_path}/glance.db')
    monkeypatch.setattr(api, '_main_context_manager', database)
    models.BASE.metadata.create_all(api.get_engine())
    configured('archive', 'irods', **zone.settings())
    with api.session_for_write() as session:
        session.add(models.Image(
            id=IMAGE, name='one', status='active', visibility='private',
            min_disk=0, min_ram=0,
        ))

    def add_location(url, metadata=None, deleted=False):
        with api.session_for_write() as session:
            session.add(models.ImageLocation(
                image_id=IMAGE, value=url, meta_data=metadata or {},
                status='active', deleted=deleted,
            ))

    return add_location


def migrate(dry_run=False):
    migration = legacy.Migration(context=None, dry_run=dry_run)
    found = list(migration.run())
    assert PASSWORD not in ''.join(result.detail for result in found)
    assert {result.image_id for result in found} <= {IMAGE}
    return found


def old(collection, name='one'):
    return f'irods://rods:{PASSWORD}@irods.example.org:1247{collection}/{name}'


def there():
    return [(each.url, each.metadata) for each in urls.everything()]


def test_credentials_are_removed_and_a_store_is_named(add, zone):
    add(old(zone.collection), {'kept': 'x'})
    before = there()
    (result,) = migrate(dry_run=True)
    assert result.result == 'would update'
    assert there() == before
    (result,) = migrate()
    assert result.result == 'updated'
    url = f'irods:/{zone.collection}/one'
    assert result.detail == f'store archive: {url}'
    assert there() == [(url, {'kept': 'x', 'store': 'archive'})]
    assert migrate() == []


def test_locations_of_today_and_deleted_ones_are_left_alone(add, zone):
    for url in (f'irods:/{zone.collection}/x', 'file:///x', 'cinder://s/x'):
        add(url)
    add(old(zone.collection), deleted=True)
    before = there()
    assert migrate() == []
    assert there() == before


@pytest.mark.parametrize(('url', 'told'), [
    (old('/tempZone/home/else'), 'has the collection of'),
    # Only the beginning of its name is that of the store's collection.
    (old(f'/tempZone/home/{irods.USER}/images-2'), 'has the collection of'),
    (f'irods://rods:{PASSWORD}@h:1247/x', 'wrong'),
    ('cinder://00000000-0000-0000-0000-000000000007', 'volume type'),
])
def test_what_no_store_fits_is_reported_and_left_alone(add, url, told):
    add(url)
    (result,) = migrate()
    assert result.result == 'failed'
    assert told in result.detail
    assert there() == [(url, {})]


def test_a_location_that_was_changed_meanwhile_is_left_alone(
    add, zone, monkeypatch
):
    add(old(zone.collection))
    read = list(urls.everything())
    other = old(zone.collection, 'two')
    urls.change(read[0], other, {})
    with monkeypatch.context() as patched:
        patched.setattr(urls, 'everything', lambda: read)
        (result,) = migrate()
    assert result.result == 'vanished'
    assert there() == [(other, {})]


class Cinder:
    """A store of Cinder, as far as old locations are concerned."""

    def __init__(self, *volumes):
        self._volumes = volumes

    def is_image_associated_with_store(self, context, volume):
        if volume == 'broken':
            raise exceptions.BackendException('Cinder does not answer')
        return volume in self._volumes


@pytest.mark.parametrize(('volume', 'what', 'told'), [
    ('v1', legacy.WOULD_UPDATE, 'store gold: cinder://gold/v1'),
    ('v2', legacy.WOULD_UPDATE, 'store tin: cinder://tin/v2'),
    ('v3', legacy.FAILED, 'no store of this node has the volume type'),
    ('broken', legacy.FAILED, 'Cinder does not answer'),
])
def test_an_old_volume_belongs_to_the_store_of_its_type(
    monkeypatch, volume, what, told
):
    stores = {'gold': Cinder('v1'), 'tin': Cinder('v2')}
    monkeypatch.setattr(legacy, '_drivers', lambda _s: stores.items())
    recorded = urls.Recorded(
        row=1, image_id=IMAGE, url=f'cinder://{volume}', metadata={}
    )
    monkeypatch.setattr(urls, 'everything', lambda: [recorded])
    (found,) = migrate(dry_run=True)
    assert found.result == what
    assert told in found.detail


@pytest.mark.parametrize(('url', 'expected'), [
    ('cinder://x', True), ('cinder://s/x', False), ('irods://z/a/b', False),
    ('irods://u:p@h:1/z/a/b', True), ('irods://h:1247/z/a/b', True),
    ('file:///x', False), ('rbd://a', False), ('s3://h/b/o', False),
    ('s3://k:s@h/b/o', True), ('s3+https://k:s/s@h:1/b/o', True),
])
def test_only_locations_of_earlier_times_are_migrated(url, expected):
    assert legacy.is_legacy(url) is expected
