# SPDX-License-Identifier: Apache-2.0
"""Copies of a real size."""

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions

from glance_copy_plugin_tempest.tests import base

CONF = config.CONF


class CopiesTest(base.CopyTest):
    """What a user can rely on."""

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d11')
    def test_an_image_is_copied_to_every_store_that_is_named(self):
        image_id, digest = self.upload()
        self.copy(image_id, self.targets)
        image, task = self.ended(image_id)
        self.assertEqual('success', task['status'], task['message'])
        self.assertEqual(
            {self.default, *self.targets}, base.names(image, 'stores')
        )
        self.assertEqual(digest, self.downloaded(image_id))

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d17')
    def test_each_copy_can_be_read_when_the_original_is_gone(self):
        for store in self.targets:
            image_id, digest = self.upload()
            self.copy(image_id, [store])
            self.ended(image_id)
            self.client.delete_image_from_store(image_id, self.default)
            self.assertEqual(
                store, self.client.show_image(image_id)['stores']
            )
            self.assertEqual(digest, self.downloaded(image_id))

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d12')
    def test_the_image_can_be_used_and_progress_only_grows(self):
        image_id, _ = self.upload()
        self.copy(image_id, self.targets)
        left = []
        stores = []
        for image, task in self.watch(image_id):
            self.assertEqual('active', image['status'])
            stores.append(base.names(image, 'stores'))
            if task['status'] == 'processing' and base.IMPORTING in image:
                left.append(base.names(image, base.IMPORTING))
        for earlier, later in zip(stores, stores[1:], strict=False):
            self.assertLessEqual(earlier, later)
        for earlier, later in zip(left, left[1:], strict=False):
            self.assertGreaterEqual(earlier, later)
        self.assertEqual(set(), base.names(image, base.IMPORTING))
        self.assertEqual(set(), base.names(image, base.FAILED))
        size = CONF.image_copy.size * base.MIB
        self.assertIn(f'copied {size} bytes', task['message'])

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d13')
    def test_an_image_can_be_deleted_while_it_is_copied(self):
        image_id, _ = self.upload()
        self.copy(image_id, self.targets)
        self.client.delete_image(image_id)
        self.client.wait_for_resource_deletion(image_id)
        self.assertRaises(
            exceptions.NotFound, self.client.show_image, image_id
        )

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d14')
    def test_a_copy_that_makes_no_sense_is_refused(self):
        image_id, _ = self.upload()
        self.assertRaises(
            exceptions.BadRequest, self.copy, image_id,
            [self.targets[0], self.targets[0]],
        )
        self.copy(image_id, self.targets[:1])
        self.ended(image_id)
        self.assertRaises(
            exceptions.BadRequest, self.copy, image_id, self.targets[:1]
        )


class PartialFailureTest(base.CopyTest):
    """One of the stores cannot be written."""

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.image_copy.failing_store:
            raise cls.skipException('no store is configured to fail')

    def setUp(self):
        super().setUp()
        self.failing = CONF.image_copy.failing_store
        self.image_id, self.digest = self.upload()

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d15')
    def test_the_other_stores_keep_their_copies_if_that_is_wanted(self):
        self.copy(
            self.image_id, [self.failing, *self.targets], must_succeed=False
        )
        image, _ = self.ended(self.image_id)
        self.assertEqual({self.failing}, base.names(image, base.FAILED))
        self.assertEqual(
            {self.default, *self.targets}, base.names(image, 'stores')
        )

    @decorators.idempotent_id('4f0b6f0e-6a5d-4c07-9c55-2b6a1a0f7d16')
    def test_no_store_keeps_a_copy_if_all_must_succeed(self):
        self.copy(self.image_id, [self.failing, *self.targets])
        image, task = self.ended(self.image_id)
        self.assertEqual('failure', task['status'])
        self.assertIn(self.failing, task['message'])
        self.assertIn(self.failing, base.names(image, base.FAILED))
        self.assertEqual({self.default}, base.names(image, 'stores'))
        self.assertEqual('active', image['status'])
        self.assertEqual(self.digest, self.downloaded(self.image_id))
