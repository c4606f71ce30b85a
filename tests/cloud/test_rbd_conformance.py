# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on Ceph, for the driver and for the copier."""

import uuid

import pytest

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import rbd_copier
from glance_copy_plugin.backends import rbd_objects
from glance_copy_plugin.backends import rbd_streams
from glance_copy_plugin.transfer import errors
from tests.cloud import pools
from tests.stores import conformance
from tests.stores import server_side


class TestStreamingToTheDriver(
    pools.InPools, conformance.StreamingConformance
):
    """glance_store's own driver for rbd reads what was staged."""


class TestWritingNatively(pools.InPools, conformance.StoreConformance):
    """Several requests are in flight, and zeroes are left out."""

    writer = rbd_streams.RbdWriter()


class RbdCopierConformance(
    pools.InPools, server_side.ServerSide, conformance.StoreConformance
):
    """The source is an image of another pool."""

    copier = rbd_copier.RbdCopier()

    @pytest.fixture(autouse=True)
    def look_often(self, monkeypatch):
        monkeypatch.setattr(rbd_objects, 'LOOK', 0.05)

    def test_several_images_are_written_while_one_is_read(self):
        pytest.skip('there are not as many pools as it has sources')


class TestCopying(RbdCopierConformance):
    """What is copied is right; Ceph has no checksum to compare."""

    proves_bytes = False

    def test_the_copy_depends_on_no_other_image(self, make, source, copy):
        target = make('s1')
        self.succeed(copy([target], [source(conformance.IMAGE)]), target)
        assert target.pool.parent(conformance.IMAGE_ID) is None

    def test_a_reason_is_not_lost_if_nothing_can_be_removed(
        self, make, source, copy, monkeypatch
    ):
        """Somebody has the copy open, as a client that died had."""
        monkeypatch.setattr(rbd_objects, 'FORGOTTEN', 0.5)
        target = make('s1')
        copied = copy([target], [source(conformance.IMAGE)])
        reason = errors.Cancelled('the image was deleted')
        opened = []

        def stop(store, count):
            if not opened:
                (partial,) = target.objects()
                opened.append(target.pool.open(partial))
                copied.cancel.cancel(reason)

        copied.progress.when_copied = stop
        copied.run()
        copied.lease.wait_until_free()
        opened[0].close()
        assert copied.errors == {'s1': reason}

    def test_a_task_that_has_ended_can_be_cancelled(self, make, bindings):
        make('s1')
        cluster = rbd_objects.module()
        with cluster.connected(drivers.of_store('s1')) as connected:
            connected.cancel(str(uuid.uuid4()))

    def test_it_leaves_a_location_that_it_cannot_read(self, make):
        make('s1')
        driver = drivers.of_store('s1')
        location = base.Location(store='s1', driver=driver, url='rbd://a/b')
        assert not self.copier.can_copy(
            (location,), drivers.target('s1')
        )


class TestCopyingAndReadingBack(RbdCopierConformance):
    verify = 'full'
