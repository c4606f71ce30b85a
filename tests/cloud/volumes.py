# SPDX-License-Identifier: Apache-2.0

"""Stores in Cinder, for the classes that inherit the conformance suite."""

import io

import glance_store
from oslo_config import cfg
import pytest

from glance_copy_plugin.backends import drivers
from tests.cloud.services import rootwrap
from tests.cloud.services import stores as options
from tests.functional import helpers
from tests.stores import conformance

CONF = cfg.CONF
SLOW = ('s1', 's3')


class CinderTarget(conformance.Target):
    """A store whose images are volumes.

    :param client: of Cinder, as the user of the store
    """

    def __init__(self, name, client, configure):
        super().__init__(name)
        self._client = client
        self._configure = configure

    def volumes(self):
        """Return all volumes of the store, those that are deleted too."""
        return [
            volume for volume in self._client.volumes.list()
            if volume.metadata.get('glance_store') == self.name
        ]

    def objects(self):
        return [
            volume.id for volume in self.volumes()
            if volume.status != 'deleting'
        ]

    def plant(self, image_id, content):
        added = glance_store.add_with_multihash(
            CONF, image_id, io.BytesIO(content), len(content), self.name,
            'sha256',
        )
        return added[0]

    def refuse_writing(self):
        self._configure(cinder_store_password='wrong')

    def wait_gone(self):
        helpers.wait_until(
            lambda: not self.volumes(), f'{self.name} to be empty'
        )


class InCinder:
    """Inherit this too; the stores have two volume types in turn."""

    @pytest.fixture
    def make(self, configured, cloud, block, own_environment, tmp_path):
        made = []

        def make_store(name):
            told = options.cinder(
                cloud,
                'glance-slow' if name in SLOW else 'glance-fast',
                driver='cinder_multi',
                rootwrap_config=str(rootwrap.write(tmp_path)),
            )
            kind = told.pop('driver')

            def configure(**more):
                configured(name, kind, **{**told, **more})

            configure()
            made.append(CinderTarget(name, block('glance'), configure))
            return made[-1]

        yield make_store
        for target in made:
            for volume_id in target.objects():
                drivers.of_store(target.name).remove_volume(volume_id)
        for target in made:
            target.wait_gone()
