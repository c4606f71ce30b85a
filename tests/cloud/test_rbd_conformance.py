# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on Ceph, for the driver and for the copier."""

import uuid

import pytest

from glance_copy_plugin import stores
from glance_copy_plugin.copiers import base
from glance_copy_plugin.copiers import rbd as rbd_copier
from glance_copy_plugin.transfer import errors
from tests.cloud import chosen
from tests.cloud import pools
from tests.stores import conformance
from tests.stores import server_side


@chosen.keep(
    several_stores_get_the_image_at_the_same_time=None,
    what_a_crash_left_is_replaced=None,
    a_store_that_refuses_to_be_written_fails_with_its_reason=None,
    a_stopped_copy_leaves_nothing=None,
)
class TestStreamingToTheDriver(
    pools.InPools, conformance.StreamingConformance
):
    """glance_store's own driver for rbd reads what was staged."""


@chosen.keep(
    an_image_of_any_size_arrives=[5 * conformance.CHUNK + 3],
    a_source_that_breaks_is_completed_from_the_next=[
        3 * conformance.CHUNK + 5,
    ],
    a_stopped_copy_leaves_nothing=None,
)
class TestStreamingToTheDriverThroughAWindow(
    pools.InPools, conformance.StreamingConformance
):
    window = conformance.WINDOW


class RbdCopierConformance(
    pools.InPools, server_side.ServerSideConformance
):
    """The source is an image of another pool."""

    copier = rbd_copier.RbdCopier()
    silent_seconds = 5

    @pytest.fixture(autouse=True)
    def look_often(self, monkeypatch):
        monkeypatch.setattr(rbd_copier, 'LOOK', 0.05)


@chosen.keep(
    an_image_of_any_size_arrives=[
        0, 1, conformance.CHUNK, 5 * conformance.CHUNK + 3,
    ],
    several_stores_get_the_image_at_the_same_time=None,
    an_image_without_a_digest_arrives=None,
    every_kind_of_verification_accepts_a_right_copy=['full', 'none'],
    progress_reaches_the_size_of_the_image=None,
    what_a_crash_left_is_replaced=None,
    a_source_that_breaks_is_completed_from_the_next=[0, 1],
    a_source_that_breaks_without_another_leaves_nothing=[
        3 * conformance.CHUNK + 5,
    ],
    a_wrong_image_leaves_nothing=[
        'without its last byte', 'longer by a byte', 'longer by a chunk',
    ],
    a_wrong_image_is_left_for_the_next_source=['without its last chunk'],
    a_store_that_refuses_to_be_written_fails_with_its_reason=None,
    a_stopped_copy_leaves_nothing=None,
    what_comes_late_from_a_store_that_hung_is_removed=None,
    stopping_one_store_stops_those_that_wait=None,
    a_copy_that_was_stopped_before_writes_nothing=None,
    its_size_is_known=None,
    it_is_deleted_once=None,
    another_copy_does_not_replace_one_that_is_in_use=None,
)
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
        monkeypatch.setattr(rbd_copier, 'FORGOTTEN', 0.5)
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
        copied.entry.wait_until_free()
        opened[0].close()
        assert copied.errors == {'s1': reason}

    def test_a_task_that_has_ended_can_be_cancelled(self, make, bindings):
        make('s1')
        cluster = rbd_copier._module()
        with cluster.connected(stores.driver('s1')) as connected:
            connected.cancel(str(uuid.uuid4()))

    def test_it_leaves_a_location_that_it_cannot_read(self, make):
        make('s1')
        driver = stores.driver('s1')
        location = base.Location(store='s1', driver=driver, url='rbd://a/b')
        assert not self.copier.can_copy(
            (location,), base.Target(store='s1', driver=driver)
        )


@chosen.keep(
    an_image_of_any_size_arrives=[0, 5 * conformance.CHUNK + 3],
    a_wrong_image_leaves_nothing=[
        'longer by a byte', 'with its first bit flipped',
        'with its last byte wrong',
    ],
    a_wrong_image_is_left_for_the_next_source=['with its first bit flipped'],
    a_wrong_image_of_one_byte_leaves_nothing=None,
    a_stopped_copy_leaves_nothing=None,
)
class TestCopyingAndReadingBack(RbdCopierConformance):
    verify = 'full'
