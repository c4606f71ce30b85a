# SPDX-License-Identifier: Apache-2.0

"""S3 to S3: the server copies the image.

From bucket to bucket of one endpoint, if the user of the target may read the
source. The server tells an ETag of each object: if that of the copy is that of
the source, it has the same bytes. Servers that make another one of it leave
the size as proof, and with ``verify = full`` the bytes.
"""

from concurrent import futures
import logging

from glance_store import exceptions

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import read_back
from glance_copy_plugin.backends import s3_objects

LOG = logging.getLogger(__name__)

# What servers copy in one go. More is copied in parts.
IN_ONE_GO = 5 * 1024 ** 3
PART = 512 * 1024 ** 2
PARTS = 10_000
# Seconds between two looks at whether the copy was stopped.
_LOOK = 0.4


class S3Copier:
    """Copies images between the buckets of one server."""

    def can_copy(self, locations, target):
        """True if the target's user may read a source."""
        sources = [
            each for each in locations if _is_near(each, target.driver)
        ]
        if not sources:
            return False
        why = 'its user may not read it'
        try:
            with s3_objects.opened(target.driver) as bucket:
                if any(_is_visible(bucket, each) for each in sources):
                    return True
        except (
            *s3_objects.module().ERRORS, exceptions.GlanceStoreException
        ) as exc:
            why = exc
        LOG.info(
            'S3 cannot copy the image into store %(store)s by itself: '
            '%(why)s', {'store': target.store, 'why': why},
        )
        return False

    def copy(self, request):
        """Copy the first of the image's objects that is good.

        :raises: :class:`CannotServerCopy` if there is none
        """
        target = request.target
        problems = []
        with s3_objects.opened(target.driver) as bucket:
            if not bucket.is_made():
                raise base.CannotServerCopy(
                    f'there is no bucket {bucket.name} yet'
                )
            if bucket.find(request.image_id) is not None:
                raise exceptions.Duplicate(image=request.image_id)
            for location in request.locations:
                if not _is_near(location, target.driver):
                    continue
                try:
                    return _Copy(bucket, request, location).make()
                except (_Unsuitable, read_back.NotTheImage) as exc:
                    problems.append(str(exc))
        raise base.CannotServerCopy(
            '; '.join(problems) or 'no store of this server holds the image'
        )


class _Unsuitable(Exception):
    """An object cannot be copied from; the text says why."""


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
        """Make the copy; return the :class:`StoredObject`."""
        request, name = self._request, self._request.image_id
        found = self._find_source()
        if request.verify == 'full':
            self._make_checked(found, name)
        else:
            self._transfer(self._source, found, name)
        return request.target.stored(s3_objects.url(
            request.target.driver, name
        ))

    def _find_source(self):
        try:
            found = self._bucket.find(
                self._source.key, bucket=self._source.bucket
            )
        except exceptions.Forbidden:
            found = None
        if found is None:
            raise _Unsuitable(
                'the user of the target sees no image in the bucket '
                f'{self._source.bucket}'
            )
        if found.size != self._request.size:
            raise _Unsuitable(f'an object of a store has {found.size} bytes')
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
        with futures.ThreadPoolExecutor(self._workers) as pool:
            if found.size <= IN_ONE_GO:
                self._in_one_go(pool, source, found, key)
            else:
                self._in_parts(pool, source, found, key)
        try:
            self._tell(found.size)
            self._request.cancel.check()
            self._prove(found, key)
        except BaseException:
            self._discard(key)
            raise

    def _in_one_go(self, pool, source, found, key):
        copied = pool.submit(self._bucket.copy, source, found.etag, key)
        try:
            self._wait([copied])
        except BaseException:
            # The server may have made it, whatever became of its answer.
            futures.wait([copied])
            self._discard(key)
            raise

    def _in_parts(self, pool, source, found, key):
        size = self._part_size(source, found)
        upload = self._bucket.begin_upload(key)
        copies = []
        try:
            for number, start in enumerate(range(0, found.size, size), 1):
                copies.append(pool.submit(
                    self._bucket.copy_part, upload, number, source,
                    found.etag, key, start, min(start + size, found.size),
                ))
            self._wait(copies, lambda done: self._tell(
                min(done * size, found.size - 1)
            ))
            self._complete(upload, key, [each.result() for each in copies])
        except BaseException:
            for each in copies:
                each.cancel()
            futures.wait(copies)
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

    def _wait(self, copies, on_done=lambda count: None):
        """Return when all are done; raise what one raises, or to stop."""
        waiting = set(copies)
        while waiting:
            self._request.cancel.check()
            done, waiting = futures.wait(
                waiting, _LOOK, futures.FIRST_COMPLETED
            )
            for each in done:
                each.result()
            on_done(len(copies) - len(waiting))

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
        """Remove what failed; why it failed is the error to raise."""
        self._quietly(self._bucket.remove, key)

    def _abort(self, upload, key):
        self._quietly(self._bucket.abort_upload, upload, key)

    @staticmethod
    def _quietly(remove, *what):
        try:
            remove(*what)
        except (
            *s3_objects.module().ERRORS, exceptions.GlanceStoreException
        ) as exc:
            LOG.error(
                'An incomplete copy stays behind in S3 as %(name)s: %(why)s',
                {'name': what[-1], 'why': exc},
            )


def _is_near(location, driver):
    """True for an object on the server of a driver."""
    if 's3' not in location.driver.get_schemes() or (
        not s3_objects.is_configured(location.driver)
    ):
        return False
    if not location.url:
        return s3_objects.endpoint(location.driver) == (
            s3_objects.endpoint(driver)
        )
    place = s3_objects.Place.of_url(location.url)
    return place is not None and place.endpoint == s3_objects.endpoint(driver)


def _is_visible(bucket, location):
    """Ask with the account of the target, which is the one that copies."""
    if not location.url:
        return bucket.exists(location.driver.bucket)
    place = s3_objects.Place.of_url(location.url)
    return bucket.find(place.key, bucket=place.bucket) is not None
