# SPDX-License-Identifier: Apache-2.0

"""S3 to S3: the server copies the image.

From bucket to bucket of one endpoint, if the user of the target may read the
source. The server tells an ETag of each object: if that of the copy is that of
the source, it has the same bytes. Servers that make another one of it leave
the size as proof, and with ``verify = full`` the bytes.
"""

from concurrent import futures

from glance_store import exceptions

from glance_copy_plugin.backends import object_copier
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.backends import s3_objects

# What servers copy in one go. More is copied in parts.
IN_ONE_GO = 5 * 1024 ** 3
PART = 128 * 1024 ** 2
# Bytes that a server copies at the same time: a slow one answers too late
# otherwise, and is asked again.
IN_FLIGHT = 1024 ** 3
PARTS = 10_000


class S3Copier(object_copier.ObjectCopier):
    """Copies images between the buckets of one server."""

    service = 'S3'

    def opened(self, driver, image_id=None):
        return s3_objects.opened(driver)

    def errors(self):
        return _errors()

    def is_near(self, location, driver):
        if 's3' not in location.driver.get_schemes() or (
            not s3_objects.is_configured(location.driver)
        ):
            return False
        here = s3_objects.endpoint(driver)
        if not location.url:
            return s3_objects.endpoint(location.driver) == here
        place = s3_objects.Place.of_url(location.url)
        return place is not None and place.endpoint == here

    def is_visible(self, container, location):
        if not location.url:
            return container.exists(location.driver.bucket)
        place = s3_objects.Place.of_url(location.url)
        return container.find(place.key, bucket=place.bucket) is not None

    def make(self, container, request, location):
        return _Copy(container, request, location).make()


def _errors():
    return (*s3_objects.module().ERRORS, exceptions.GlanceStoreException)


class _Copy:
    """One copy into ``bucket`` from one location."""

    def __init__(self, bucket, request, location):
        self._bucket = bucket
        self._request = request
        self._driver = location.driver
        self._source = s3_objects.Place.of_url(location.url)
        self._workers = request.target.driver.s3_store_thread_pools
        self._told = 0

    def make(self):
        """Make the copy; return its URL."""
        request, name = self._request, self._request.image_id
        found = self._find_source()
        if request.verify == 'full':
            self._make_checked(found, name)
        else:
            self._transfer(self._source, found, name)
        return s3_objects.url(request.target.driver, name)

    def _find_source(self):
        try:
            found = self._bucket.find(
                self._source.key, bucket=self._source.bucket
            )
        except exceptions.Forbidden:
            found = None
        if found is None:
            raise object_copier.Unsuitable(
                'the user of the target sees no image in the bucket '
                f'{self._source.bucket}'
            )
        if found.size != self._request.size:
            raise object_copier.Unsuitable(
                f'an object of a store has {found.size} bytes'
            )
        return found

    def _make_checked(self, found, name):
        """Read the copy back before it gets its name."""
        partial = s3_objects.partial_name(name)
        self._transfer(self._source, found, partial)
        try:
            read_back.check(self._bucket.read(partial), self._request)
            place = s3_objects.Place(
                endpoint=self._source.endpoint, bucket=self._bucket.name,
                key=partial,
            )
            self._transfer(place, self._bucket.find(partial), name)
        finally:
            self._discard(partial)

    def _transfer(self, source, found, key):
        """Have the server copy an object; prove that it did.

        :param found: what the source is :class:`Found` to be
        """
        if found.size <= IN_ONE_GO:
            self._in_one_go(source, found, key)
        else:
            self._in_parts(source, found, key)
        try:
            self._tell(found.size)
            self._request.cancel.check()
            self._prove(found, key)
        except BaseException:
            self._discard(key)
            raise

    def _in_one_go(self, source, found, key):
        with futures.ThreadPoolExecutor(1) as pool:
            copied = pool.submit(self._bucket.copy, source, found.etag, key)
            try:
                object_copier.wait([copied], self._request)
            except BaseException:
                # The server may have made it, whatever became of its answer.
                object_copier.stop([copied])
                self._discard(key)
                raise

    def _in_parts(self, source, found, key):
        size = self._part_size(source, found)
        upload = self._bucket.begin_upload(key)
        workers = max(1, min(self._workers, IN_FLIGHT // size))
        with futures.ThreadPoolExecutor(workers) as pool:
            self._copy_parts(pool, upload, source, found, key, size)

    def _copy_parts(self, pool, upload, source, found, key, size):
        copies = []
        try:
            for number, start in enumerate(range(0, found.size, size), 1):
                copies.append(pool.submit(
                    self._bucket.copy_part, upload, number, source,
                    found.etag, key, start, min(start + size, found.size),
                ))
            object_copier.wait(copies, self._request, lambda done: self._tell(
                min(done * size, found.size - 1)
            ))
            self._complete(upload, key, [each.result() for each in copies])
        except BaseException:
            object_copier.stop(copies)
            self._abort(upload, key)
            raise

    def _complete(self, upload, key, parts):
        try:
            self._bucket.complete_upload(upload, key, parts)
        except BaseException:
            # The server may have done it, whatever became of its answer.
            self._discard(key)
            raise

    def _part_size(self, source, found):
        """Return the size of the parts: those of the source, if possible.

        A copy of the same parts has the same ETag.
        """
        first = self._bucket.find(
            source.key, bucket=source.bucket, PartNumber=1
        )
        least = -(-found.size // PARTS)
        usual = max(self._driver.s3_store_large_object_chunk_size, least)
        for size in (first.size if first else 0, usual):
            if least <= size <= IN_ONE_GO and (
                -(-found.size // size) == found.parts
            ):
                return size
        return max(PART, least)

    def _tell(self, count):
        """Say how much is copied; a second copy begins at no less."""
        self._told = max(self._told, count)
        self._request.on_bytes(self._told)

    def _prove(self, found, key):
        made = self._bucket.find(key)
        if made is None or made.size != found.size:
            raise exceptions.BackendException(
                f'the copy has {made and made.size} bytes, but the image '
                f'{found.size}'
            )
        comparable = found.is_proof and made.is_proof and (
            made.parts == found.parts
        )
        if comparable and made.etag != found.etag:
            raise exceptions.BackendException(
                'the copy has another ETag than the image'
            )

    def _discard(self, key):
        object_copier.discard(
            self._bucket.remove, key, service='S3', errors=_errors()
        )

    def _abort(self, upload, key):
        object_copier.discard(
            self._bucket.abort_upload, upload, key, service='S3',
            errors=_errors(),
        )
