# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on Cinder, for the driver and for the copier."""

from glance_copy_plugin.copiers import cinder as cinder_copier
from tests.cloud import chosen
from tests.cloud import volumes
from tests.stores import conformance
from tests.stores import server_side


@chosen.keep(
    several_stores_get_the_image_at_the_same_time=None,
    a_stopped_copy_leaves_nothing=None,
    it_is_deleted_once=None,
    several_images_are_written_while_one_is_read=None,
)
class TestStreamingToTheDriver(
    volumes.InCinder, conformance.StreamingConformance
):
    """The driver writes what was staged into a volume."""


@chosen.keep(
    an_image_of_any_size_arrives=[0, 1, 5 * conformance.CHUNK + 3],
    several_stores_get_the_image_at_the_same_time=None,
    an_image_without_a_digest_arrives=None,
    every_kind_of_verification_accepts_a_right_copy=['backend', 'none'],
    progress_reaches_the_size_of_the_image=None,
    a_source_that_breaks_is_completed_from_the_next=[1],
    a_source_that_breaks_without_another_leaves_nothing=[
        3 * conformance.CHUNK + 5,
    ],
    a_wrong_image_leaves_nothing=[
        'without its last byte', 'longer by a chunk',
        'with its last byte wrong',
    ],
    a_wrong_image_is_left_for_the_next_source=['with its first bit flipped'],
    a_wrong_image_of_one_byte_leaves_nothing=None,
    a_store_that_refuses_to_be_written_fails_with_its_reason=None,
    a_stopped_copy_leaves_nothing=None,
    a_copy_that_was_stopped_before_writes_nothing=None,
)
class TestCopyingAndReadingBack(
    volumes.InCinder, server_side.ServerSideConformance
):
    """Cinder makes a volume of a snapshot, and changes its type."""

    copier = cinder_copier.CinderCopier()
    verify = 'full'
