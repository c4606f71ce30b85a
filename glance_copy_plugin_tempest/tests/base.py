# SPDX-License-Identifier: Apache-2.0
"""An administrator who copies images, and what is asked while that runs."""

import hashlib
import io
import os
import time

from tempest import config
from tempest import test
from tempest.lib import exceptions
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils

CONF = config.CONF
MIB = 2 ** 20
IMPORTING = 'os_glance_importing_to_stores'
FAILED = 'os_glance_failed_import'
ENDED = ('success', 'failure')


def names(image, key):
    """Return the stores that a property of an image lists, as a set."""
    return {name for name in image.get(key, '').split(',') if name}


class CopyTest(test.BaseTestCase):
    """Has an image of the configured size, and the names of the stores."""

    credentials = ['admin']

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.service_available.glance:
            raise cls.skipException('there is no Image service')
        if not CONF.image_feature_enabled.import_image:
            raise cls.skipException('images cannot be imported')

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        cls.client = cls.os_admin.image_client_v2

    @classmethod
    def resource_setup(cls):
        super().resource_setup()
        methods = cls.client.info_import()['import-methods']['value']
        if 'copy-image' not in methods:
            raise cls.skipException('the method copy-image is not enabled')
        stores = cls.client.info_stores()['stores']
        writable = [
            store for store in stores
            if store['id'] != CONF.image_copy.failing_store
            and store.get('read-only') != 'true'
        ]
        cls.default = next(
            store['id'] for store in writable if store.get('default')
        )
        cls.targets = [
            store['id'] for store in writable if store['id'] != cls.default
        ]
        if not cls.targets:
            raise cls.skipException('there is only one store')

    def upload(self):
        """Make an image in the default store; return its id and hash."""
        # Glance refuses what looks like a broken boot sector, and noise does
        # now and then.
        content = bytes(512) + os.urandom(CONF.image_copy.size * MIB - 512)
        image = self.client.create_image(
            name=data_utils.rand_name('copied'), disk_format='raw',
            container_format='bare', visibility='private',
        )
        self.addCleanup(
            self.client.wait_for_resource_deletion, image['id']
        )
        self.addCleanup(
            test_utils.call_and_ignore_notfound_exc,
            self.client.delete_image, image['id'],
        )
        self.client.store_image_file(image['id'], io.BytesIO(content))
        return image['id'], hashlib.sha256(content).hexdigest()

    def copy(self, image_id, stores, must_succeed=True):
        """Ask for a copy, which has to be accepted."""
        self.client.image_import(
            image_id, method='copy-image', stores=stores,
            all_stores_must_succeed=must_succeed,
        )

    def task(self, image_id):
        """Return the image's newest task."""
        tasks = self.client.show_image_tasks(image_id)['tasks']
        return max(tasks, key=lambda each: each['created_at'])

    def watch(self, image_id):
        """Yield (image, task) again and again, until the copy has ended."""
        deadline = time.monotonic() + CONF.image.build_timeout
        while time.monotonic() < deadline:
            task = self.task(image_id)
            image = self.client.show_image(image_id)
            yield image, task
            if task['status'] in ENDED and not image.get(
                'os_glance_import_task'
            ):
                return
            time.sleep(min(1, CONF.image.build_interval))
        raise exceptions.TimeoutException(
            f'the copy of image {image_id} has not ended after '
            f'{CONF.image.build_timeout} s; its task: {task}'
        )

    def ended(self, image_id):
        """Wait for the end of a copy; return (image, task)."""
        *_, last = self.watch(image_id)
        return last

    def downloaded(self, image_id):
        """Return the hash of what a download gives."""
        content = self.client.show_image_file(image_id).data
        return hashlib.sha256(content).hexdigest()
