# SPDX-License-Identifier: Apache-2.0

"""Stores of one zone, for the classes that inherit the conformance suite."""

import pytest

from glance_store_irods import location
from tests import real_irods
from tests.parts import irods
from tests.stores import conformance

MIB = 1024 * 1024


class IrodsTarget(conformance.Target):
    """An iRODS store, with a collection and a resource of its own.

    :param zone: Irods
    """

    def __init__(self, name, zone, collection):
        super().__init__(name)
        self.zone = zone
        self.collection = collection

    def content(self, url):
        return self.zone.server.content(location.path_of(url))

    def objects(self):
        return self.zone.server.objects(self.collection)

    def plant(self, image_id, content):
        path = f'{self.collection}/{image_id}'
        self.zone.server.put(path, content, user=irods.USER)
        return location.url_of(path)

    def refuse_writing(self):
        self.zone.server.permit(self.collection, irods.USER, 'read')


class InAZone:
    """Inherit this too; the stores are those of one zone."""

    @pytest.fixture
    def zone(self, tmp_path):
        """Yield a zone; no store keeps a connection or an object open."""
        with real_irods.zone_or_double(tmp_path) as zone:
            yield zone

    @pytest.fixture
    def make(self, configured, zone):
        return lambda name, **more: self._make(
            configured, zone, name, None, **more
        )

    @pytest.fixture
    def make_full(self, configured, zone):
        return lambda name: self._make(configured, zone, name, MIB)

    @staticmethod
    def _make(configured, zone, name, capacity, **more):
        resource = zone.add_resource(f'of-{name}', capacity)
        collection = zone.add_collection(name)
        told = {
            **zone.options(), 'path': collection, 'chunk_size': MIB, **more,
        }
        if resource is not None:
            told['primary_res'] = resource
        configured(name, 'irods', **{
            f'irods_store_{option}': value for option, value in told.items()
        })
        return IrodsTarget(name, zone, collection)

    def test_a_second_replica_is_made(self, make, zone, source, copy):
        zone.add_resource('second')
        target = make('s1', replica_res='second')
        self.succeed(
            copy([target], [source(conformance.IMAGE)]), target,
        )
        [path] = target.objects()
        assert [
            replica.resource for replica in zone.server.replicas(path)
        ] == ['of-s1', 'second']
