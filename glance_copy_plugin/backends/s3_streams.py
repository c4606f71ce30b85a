# SPDX-License-Identifier: Apache-2.0

"""Reading and writing objects of S3 as streams.

glance_store's driver writes several parts at the same time, as fast as other
tools do: it is left to it.
"""

from glance_store import exceptions

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import generic
from glance_copy_plugin.backends import s3_objects
from glance_copy_plugin.transfer import errors


class S3Source:
    """An object as a :class:`~transfer.sources.Source`."""

    def __init__(self, location):
        self.store = location.store
        self._location = location

    def local_file(self):
        """Return None: it lies on a server."""

    def read_from(self, offset):
        """Yield the bytes from ``offset`` on.

        :raises: :class:`SourceGone`, or what boto3 raises
        """
        place = s3_objects.Place.of_url(self._location.url)
        if place is None:
            raise errors.SourceGone(
                'the location names no object of S3', store=self.store
            )
        with s3_objects.opened(self._location.driver) as bucket:
            try:
                yield from bucket.read(
                    place.key, offset, bucket=place.bucket
                )
            except exceptions.NotFound:
                raise errors.SourceGone(
                    f'there is no such object in the bucket {place.bucket}',
                    store=self.store,
                ) from None
            except exceptions.Forbidden as exc:
                raise errors.SourceGone(str(exc), store=self.store) from None


class S3Reader(base.Reader):
    """Reads on from any byte, and writes no location into a log."""

    def source(self, location, context):
        """Return the :class:`S3Source` of a location."""
        return S3Source(location)

    def size_of(self, location, context):
        """Return the size in bytes, as the store's user of today is told."""
        place = s3_objects.Place.of_url(location.url)
        if place is None:
            return super().size_of(location, context)
        with s3_objects.opened(location.driver) as bucket:
            found = bucket.find(place.key, bucket=place.bucket)
        if found is None:
            raise exceptions.NotFound(image=place.key)
        return found.size


class S3Writer(generic.DriverWriter):
    """Has the driver write, and says in a sentence what the server refuses."""

    def write(self, request):
        """Hand the staged image to the driver, if there is a bucket."""
        with s3_objects.opened(
            request.target.driver
        ) as bucket, bucket.told():
            bucket.is_made()
            return super().write(request)
