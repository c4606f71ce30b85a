# SPDX-License-Identifier: Apache-2.0

"""What lies in containers, segments without an image included."""

import uuid

import pytest

from glance_copy_plugin.audit import legacy_locations
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.backends import swift_copier
from glance_copy_plugin.backends import swift_streams
from glance_copy_plugin.records import urls
from glance_copy_plugin.transfer import errors
from tests.cloud import containers as swift_containers
from tests.cloud.services import identity
from tests.parts import data
from tests.stores import conformance

IMAGE_ID, MIB = conformance.IMAGE_ID, 1024 ** 2
OURS = f'{IMAGE_ID}.0123456789ab-0000'


def opened(url, store='s1'):
    """Return a location of a store as a source."""
    return swift_streams.SwiftReader().source(
        drivers.location(store, url), None
    )


class TestObjects(swift_containers.InContainers):
    """In stores of this process."""

    @pytest.fixture
    def container(self, make):
        return make('s1').container

    def partial(self):
        """Return (place, size) of what is unfinished in the store."""
        return sorted(
            (kept.place.partition('/')[2], size())
            for kept, size in registry.list_objects('s1') if kept.partial
        )

    def test_segments_of_no_image_are_found_with_their_size_and_removed(
        self, container
    ):
        container.put_segments(IMAGE_ID, bytes(5), 2)
        container.put(f'{OURS}1', bytes(7))
        assert self.partial() == [
            (f'{IMAGE_ID}-', 5), (f'{IMAGE_ID}.0123456789ab-', 7),
        ]
        for kept, size in registry.list_objects('s1'):
            assert kept.image_id == IMAGE_ID
            assert not registry.is_named('s1', kept, [kept.url])
            registry.remove_object('s1', kept.place)
            assert size() is None
        assert container.keys() == []

    def test_segments_of_an_image_are_not_unfinished(self, container):
        other = str(uuid.uuid4())
        container.put_dynamic(IMAGE_ID, bytes(5), 2)
        container.put(f'{other}.0123456789ab-00001', bytes(7))
        container.put_static(other, [
            {'path': f'/{container.name}/{other}.0123456789ab-00001'},
        ])
        found = {
            kept.image_id: size()
            for kept, size in registry.list_objects('s1')
        }
        assert found == {IMAGE_ID: 5, other: 7}
        assert self.partial() == []
        # They have become an image since they were found.
        registry.remove_object('s1', f'{container.name}/{IMAGE_ID}-')
        for image_id in (IMAGE_ID, other):
            registry.remove_partial('s1', image_id)
        assert len(container.keys()) == 6

    def test_an_image_is_removed_with_its_segments_and_nothing_else(
        self, container
    ):
        container.put_dynamic(IMAGE_ID, bytes(5), 2)
        container.put(f'{IMAGE_ID}-of-somebody-else', b'')
        registry.remove_object('s1', f'{container.name}/{IMAGE_ID}')
        assert container.keys() == [f'{IMAGE_ID}-of-somebody-else']

    def test_what_a_dead_copy_left_goes_and_nothing_else(self, container):
        other = str(uuid.uuid4())
        container.put_dynamic(IMAGE_ID, bytes(5), 2)
        stay = container.keys()
        container.put(f'{OURS}1', b'of a copy')
        container.put_segments(other, b'of another image', 8)
        assert registry.remove_partial('s1', IMAGE_ID) == []
        assert sorted(container.keys()) == sorted([
            *stay, f'{other}-00001', f'{other}-00002',
        ])

    @pytest.mark.parametrize('manifest', [
        '{container}/{image}', '{container}/{image}-0',
    ])
    def test_segments_of_any_dynamic_manifest_are_not_removed(
        self, container, manifest
    ):
        container.put_segments(IMAGE_ID, bytes(5), 2)
        container.put(IMAGE_ID, b'', **{'X-Object-Manifest': manifest.format(
            container=container.name, image=IMAGE_ID,
        )})
        assert self.partial() == []
        registry.remove_partial('s1', IMAGE_ID)
        registry.remove_object('s1', f'{container.name}/{IMAGE_ID}-')
        assert container.content(IMAGE_ID) == bytes(5)

    def test_segments_of_a_manifest_of_manifests_are_not_removed(
        self, container
    ):
        container.put_segments(IMAGE_ID, bytes(5), 5)
        container.put_static('inner', [
            {'path': f'/{container.name}/{IMAGE_ID}-00001'},
        ])
        container.put_static(IMAGE_ID, [{'path': f'/{container.name}/inner'}])
        assert self.partial() == []
        registry.remove_partial('s1', IMAGE_ID)
        assert container.content(IMAGE_ID) == bytes(5)

    def test_an_object_in_a_container_of_another_account_is_another_one(
        self, container, configured, containers
    ):
        """Of the same name, as glance_store's own default is everywhere."""
        client = containers.connect(swift_containers.READER)
        client.put_container(container.name)
        theirs = swift_containers.Container(client, container.name)
        configured('theirs', 'swift', **{
            **containers.options(theirs, swift_containers.READER),
            'swift_store_endpoint': client.get_auth()[0],
        })
        location = drivers.location('s1', container.put(IMAGE_ID, b'here'))
        orphan = theirs.put(IMAGE_ID, b'there')
        try:
            assert registry.orphan_url('s1', IMAGE_ID, [location]) is None
            assert registry.orphan_url(
                'theirs', IMAGE_ID, [location]
            ) == orphan
        finally:
            theirs.empty()

    def test_containers_of_a_seed_are_all_listed(
        self, container, containers, configured
    ):
        configured('s1', 'swift', **containers.options(
            container, swift_store_multiple_containers_seed=2
        ))
        made = containers.make(f'{container.name}_{IMAGE_ID[:2]}')
        made.put(IMAGE_ID, b'the image')
        ((kept, size),) = registry.list_objects('s1')
        assert kept.place == f'{made.name}/{IMAGE_ID}'
        assert size() == 9
        url = registry.orphan_url('s1', IMAGE_ID, [])
        assert b''.join(opened(url).read_from(0)) == b'the image'
        assert b''.join(conformance.glance_store.get(url, 's1')[0]) == (
            b'the image'
        )
        made.empty()

    def test_reading_goes_on_at_any_byte(self, container):
        content = data.some(3 * MIB)
        url = container.put_dynamic(IMAGE_ID, content, MIB + 1)
        for offset in (0, 1, MIB, 3 * MIB - 1):
            assert b''.join(opened(url).read_from(offset)) == content[offset:]

    @pytest.mark.parametrize('change', [
        ('conformance-0', 'no-such-container'),
        (IMAGE_ID, 'no-such-object'),
    ])
    def test_an_object_that_is_gone_is_not_read_again(
        self, container, change
    ):
        url = container.url(IMAGE_ID).replace(*change)
        with pytest.raises(errors.SourceGone, match='no such object'):
            list(opened(url).read_from(0))

    def test_a_password_of_earlier_times_is_not_needed(
        self, container, containers, configured, cloud, monkeypatch
    ):
        url = container.put(IMAGE_ID, b'the image')
        user = '%3A'.join([
            identity.project_of(cloud.place, swift_containers.WRITER), 'old',
        ])
        address = cloud.place.url('keystone', '/v3').partition('://')[2]
        old = (f'swift+http://{user}:sesame@{address}/{container.name}/'
               f'{IMAGE_ID}')
        assert b''.join(opened(old).read_from(0)) == b'the image'
        location = drivers.location('s1', old)
        assert registry.orphan_url('s1', IMAGE_ID, [location]) is None
        self.migrated(monkeypatch, old, f'store s1: {url}')
        configured('s0', 'swift', **containers.options(container))
        self.migrated(monkeypatch, old, f'store s1: {url}', {'store': 's1'})
        self.migrated(monkeypatch, old, (
            'the stores s1, s0 have the Swift account of the container '
            f'{container.name}, and the location does not say which one it '
            'is in'
        ))
        other = old.replace(user, 'other%3Auser')
        self.migrated(monkeypatch, other, (
            'no store of this node has the Swift account of the container '
            f'{container.name}'
        ))

    @staticmethod
    def migrated(monkeypatch, url, detail, metadata=()):
        monkeypatch.setattr(urls, 'everything', lambda: [urls.Recorded(
            row=1, image_id=IMAGE_ID, url=url, metadata=dict(metadata),
        )])
        (found,) = legacy_locations.Migration(
            context=None, dry_run=True
        ).run()
        assert found.detail == detail

    def test_from_the_account_of_somebody_else_it_is_copied_if_they_let(
        self, make, configured, containers, cloud, caplog
    ):
        """The store of the reader is in an account of its own."""
        origin = make('origin')
        url = origin.plant(IMAGE_ID, b'the image')
        locations = (drivers.location('origin', url),)
        client = containers.connect(swift_containers.READER)
        own = swift_containers.Container(client, 'own')
        client.put_container(own.name)
        configured('s1', 'swift', **{
            **containers.options(own, swift_containers.READER),
            'swift_store_endpoint': client.get_auth()[0],
        })
        copier, target = swift_copier.SwiftCopier(), drivers.target('s1')
        assert copier.can_copy(locations, target)
        containers.client.post_container(
            origin.container.name, {'X-Container-Read': ''}
        )
        caplog.set_level('INFO')
        assert not copier.can_copy(locations, target)
        assert 'Swift cannot copy the image into store s1' in caplog.text
