# SPDX-License-Identifier: Apache-2.0

"""Stores in S3, as the objects of one bucket each."""

from oslo_utils import uuidutils

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import s3_copier
from glance_copy_plugin.backends import s3_objects
from glance_copy_plugin.backends import s3_streams

# Between a key and the id of an upload that is not complete.
_UPLOAD = '?uploadId='


class S3Inventory(base.Inventory):
    """The objects in the bucket of a store, and uploads that did not end."""

    def list_objects(self, driver):
        """Yield a :class:`KeptObject` for each of an image's id."""
        with s3_objects.opened(driver) as bucket:
            for key in bucket.list_keys():
                yield from _kept(driver, key, key)
            yield from _unfinished_uploads(bucket, driver)

    def is_named(self, kept, urls):
        """True if one of these locations means that object."""
        place = s3_objects.Place.of_url(kept.url)
        return not _is_upload(kept.place) and any(
            place.may_be(url) for url in urls
        )

    def size_of(self, driver, kept):
        """Return the size in bytes, or None if it is gone."""
        key, _, upload = kept.place.partition(_UPLOAD)
        with s3_objects.opened(driver) as bucket:
            if upload:
                return bucket.size_of_upload(upload, key)
            found = bucket.find(key)
            return found and found.size

    def remove(self, driver, place):
        """Remove an object or an upload, if it is there."""
        key, _, upload = place.partition(_UPLOAD)
        with s3_objects.opened(driver) as bucket:
            if upload:
                bucket.abort_upload(upload, key)
            else:
                bucket.remove(key)

    def remove_partial(self, driver, image_id):
        """Remove unfinished objects of that image.

        Only for a copy whose process is gone: nobody else writes that image.
        """
        with s3_objects.opened(driver) as bucket:
            for key, upload in bucket.uploads(image_id):
                if s3_objects.is_of(key, image_id):
                    bucket.abort_upload(upload, key)
            for key in bucket.list_keys(f'{image_id}.'):
                if s3_objects.is_of(key, image_id):
                    bucket.remove(key)
        return ()

    def unrecorded_url(self, driver, image_id, locations):
        """Return the URL of an object of that image that no location names.

        :param locations: the image's :class:`Location` objects
        :returns: None if there is no such object
        """
        with s3_objects.opened(driver) as bucket:
            if bucket.find(image_id) is None:
                return None
        url = s3_objects.url(driver, image_id)
        place = s3_objects.Place.of_url(url)
        if any(place.may_be(each.url) for each in locations):
            return None
        return url


def _unfinished_uploads(bucket, driver):
    for key, upload in bucket.uploads():
        yield from _kept(driver, key, f'{key}{_UPLOAD}{upload}')


def _kept(driver, key, place):
    partial = key.endswith(s3_objects.PARTIAL)
    image_id = key.partition('.')[0] if partial else key
    if uuidutils.is_uuid_like(image_id):
        yield base.KeptObject(
            image_id=image_id, partial=partial or _is_upload(place),
            place=place, url=s3_objects.url(driver, key),
        )


def _is_upload(place):
    return _UPLOAD in place


BACKEND = base.Backend(
    drivers=('s3',), is_usable=s3_objects.is_configured,
    reader=s3_streams.S3Reader(), writer=s3_streams.S3Writer(),
    copier=s3_copier.S3Copier(), inventory=S3Inventory(),
)
