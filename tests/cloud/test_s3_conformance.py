# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on S3, for the driver and for the copier."""

import pytest

from glance_copy_plugin.backends import s3_copier
from glance_copy_plugin.backends import s3_objects
from glance_copy_plugin.backends import s3_streams
from tests.cloud import buckets
from tests.parts import data
from tests.stores import conformance
from tests.stores import server_side

MIB = 1024 ** 2


class TestStreamingToTheDriver(
    buckets.InBuckets, conformance.StreamingConformance
):
    """glance_store's own driver for S3 reads what was staged."""

    writer = s3_streams.S3Writer()


class TestCopying(buckets.InBuckets, server_side.ServerSideConformance):
    """The server tells the same ETag of the copy."""

    copier = s3_copier.S3Copier()
    proves_bytes = False


class TestCopyingAndReadingBack(
    buckets.InBuckets, server_side.ServerSideConformance
):
    copier = s3_copier.S3Copier()
    verify = 'full'


class TestCopyingInParts(buckets.InBuckets, server_side.ServerSide):
    """As what is larger than servers copy in one go."""

    copier = s3_copier.S3Copier()
    PART = 5 * MIB

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(s3_copier, 'IN_ONE_GO', self.PART)
        monkeypatch.setattr(s3_copier, 'PART', self.PART)

    @pytest.mark.parametrize('more', [-1, 0, 1])
    def test_parts_of_any_size_make_the_image(self, make, source, copy, more):
        content = data.some(2 * self.PART + more)
        target = make('s1')
        self.succeed(
            copy([target], [source(content)], content), target,
            content=content,
        )

    @pytest.mark.parametrize(('last', 'size'), [
        ('copy', 5 * MIB), ('complete_upload', 5 * MIB + 1),
    ])
    def test_what_was_made_while_its_answer_was_lost_does_not_stay(
        self, make, source, copy, monkeypatch, last, size
    ):
        bucket = s3_objects.module().Bucket
        made, work = [], getattr(bucket, last)

        def lose(*arguments):
            work(*arguments)
            made.append(target.objects())
            raise ConnectionResetError('the connection was reset')

        content, target = data.some(size), make('s1')
        monkeypatch.setattr(bucket, last, lose)
        self.fail(copy([target], [source(content)], content), target)
        assert made == [[conformance.IMAGE_ID]]

    def test_an_image_that_came_in_parts_is_copied_in_the_same(
        self, make, copy
    ):
        content = data.some(3 * self.PART + 17)
        origin, target = make('origin'), make('s1')
        url = origin.bucket.put_in_parts(
            conformance.IMAGE_ID, content, self.PART
        )
        self.succeed(
            copy([target], [self.held(origin, url)], content), target,
            content=content,
        )
        assert target.bucket.etag(conformance.IMAGE_ID) == (
            origin.bucket.etag(conformance.IMAGE_ID)
        )
