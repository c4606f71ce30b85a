# SPDX-License-Identifier: Apache-2.0

"""The bucket of a store, as the user of that store may use it.

It needs boto3. What the server refuses becomes an exception of glance_store
that names the bucket.
"""

import contextlib
import dataclasses

from botocore import exceptions as boto_exceptions
from glance_store import exceptions

from glance_copy_plugin.backends import object_container

ERRORS = (boto_exceptions.BotoCoreError, boto_exceptions.ClientError)
_CHUNK = 1024 * 1024
_MISSING = ('404', 'NoSuchBucket', 'NoSuchKey', 'NoSuchUpload')
_FORBIDDEN = ('403', 'AccessDenied')
_KMS = 'aws:kms'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What the server tells of an object.

    :param size: bytes
    :param etag: without quotes
    :param is_proof: another object with this ETag has the same bytes
    """

    size: int
    etag: str
    is_proof: bool

    @property
    def parts(self):
        """How many parts it was uploaded in, or None if it was in one go."""
        _digest, dash, count = self.etag.partition('-')
        return int(count) if dash and count.isdigit() else None


class Bucket(object_container.ObjectContainer):
    """The bucket of one store.

    :param driver: glance_store's driver for S3
    """

    kind, made_by = 'bucket', 's3_store_create_bucket_on_put'

    def __init__(self, driver):
        super().__init__(
            driver.bucket, driver.conf[driver.backend_group][self.made_by]
        )
        # As its driver has it: addressing, certificates and checksums.
        self._client = driver._create_s3_client()

    def close(self):
        """Close its connections."""
        self._client.close()

    def exists(self, bucket=None):
        """True if there is this bucket, or another one."""
        try:
            with self.told():
                self._client.head_bucket(Bucket=bucket or self.name)
        except exceptions.NotFound:
            return False
        return True

    def find(self, key, *, bucket=None, **more):
        """Return what is :class:`Found`; None if there is no such object.

        :param bucket: another one, which this user may read
        """
        try:
            with self.told():
                answer = self._client.head_object(
                    Bucket=bucket or self.name, Key=key, **more
                )
        except exceptions.NotFound:
            return None
        return Found(
            size=answer['ContentLength'], etag=answer['ETag'].strip('"'),
            is_proof=not answer.get('ServerSideEncryption', '').startswith(
                _KMS
            ) and 'SSECustomerAlgorithm' not in answer,
        )

    def read(self, key, offset=0, *, bucket=None):
        """Yield the bytes of an object from ``offset`` on.

        :raises NotFound: if there is no such object
        """
        # There is no range in an object without bytes.
        part = {'Range': f'bytes={offset}-'} if offset else {}
        with self.told():
            body = self._client.get_object(
                Bucket=bucket or self.name, Key=key, **part
            )['Body']
        with contextlib.closing(body):
            yield from body.iter_chunks(_CHUNK)

    def copy(self, source, etag, key):
        """Have the server copy an object of up to 5 GiB.

        :param source: :class:`~s3_objects.Place`
        :param etag: what the source has to have
        """
        with self.told():
            self._client.copy_object(
                Bucket=self.name, Key=key, CopySource=_source(source),
                CopySourceIfMatch=etag,
            )

    def begin_upload(self, key):
        """Begin an object of several parts; return the upload's id."""
        with self.told():
            return self._client.create_multipart_upload(
                Bucket=self.name, Key=key
            )['UploadId']

    def copy_part(self, upload, number, source, etag, key, start, end):
        """Have the server copy bytes of an object as a part of an upload.

        :param end: the byte behind the last one
        :returns: what :meth:`complete_upload` has to know of the part
        """
        with self.told():
            answer = self._client.upload_part_copy(
                Bucket=self.name, Key=key, UploadId=upload,
                PartNumber=number, CopySource=_source(source),
                CopySourceIfMatch=etag,
                CopySourceRange=f'bytes={start}-{end - 1}',
            )
        return {
            'PartNumber': number, 'ETag': answer['CopyPartResult']['ETag']
        }

    def complete_upload(self, upload, key, parts):
        """Make an object of all parts."""
        with self.told():
            self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload,
                MultipartUpload={'Parts': parts},
            )

    def abort_upload(self, upload, key):
        """Remove an upload with its parts; it may be gone already."""
        with contextlib.suppress(exceptions.NotFound), self.told():
            self._client.abort_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload
            )

    def remove(self, key):
        """Remove an object; it may be gone already."""
        with self.told():
            self._client.delete_object(Bucket=self.name, Key=key)

    def list_keys(self, prefix=''):
        """Yield the keys of all objects that begin so."""
        for page in self._pages('list_objects_v2', prefix):
            for found in page.get('Contents', ()):
                yield found['Key']

    def uploads(self, prefix=''):
        """Yield (key, upload's id) of what is not complete."""
        for page in self._pages('list_multipart_uploads', prefix):
            for found in page.get('Uploads', ()):
                yield found['Key'], found['UploadId']

    def size_of_upload(self, upload, key):
        """Return how many bytes its parts have; None if it is gone."""
        pages = self._client.get_paginator('list_parts').paginate(
            Bucket=self.name, Key=key, UploadId=upload
        )
        try:
            with self.told():
                return sum(
                    part['Size'] for page in pages
                    for part in page.get('Parts', ())
                )
        except exceptions.NotFound:
            return None

    def _pages(self, operation, prefix):
        with self.told():
            yield from self._client.get_paginator(operation).paginate(
                Bucket=self.name, Prefix=prefix
            )

    @contextlib.contextmanager
    def told(self):
        """Raise what others understand for what the server says."""
        try:
            yield
        except boto_exceptions.ClientError as exc:
            code = exc.response.get('Error', {}).get('Code', '')
            if code in _MISSING:
                raise exceptions.NotFound() from None
            if code == 'QuotaExceeded':
                raise exceptions.StorageFull(
                    message='no space left: the quota of the bucket '
                    f'{self.name} or of its user is used up'
                ) from None
            if code in _FORBIDDEN:
                raise exceptions.Forbidden(
                    'the server refuses the user of the store the bucket '
                    f'{self.name}, or what is copied into it; check the '
                    "bucket's policy and the key of the store"
                ) from None
            raise


@contextlib.contextmanager
def opened(driver):
    """Yield the :class:`Bucket` of a store."""
    with contextlib.closing(Bucket(driver)) as bucket:
        yield bucket


def _source(place):
    return {'Bucket': place.bucket, 'Key': place.key}
