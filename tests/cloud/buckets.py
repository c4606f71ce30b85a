# SPDX-License-Identifier: Apache-2.0

"""Buckets of S3 for one process of tests, and stores in them."""

import json

import boto3
from glance_store._drivers import s3
import pytest

from tests.stores import conformance

WRITER, READER = 'conformance', 'conformance-reader'


class Buckets:
    """Makes users, and buckets of the first of them.

    :param cloud: ``Cloud``
    """

    def __init__(self, cloud):
        self._place, self._radosgw = cloud.place, cloud.radosgw
        cloud.start(cloud.radosgw)
        for user in (WRITER, READER):
            self._radosgw.make_user(self.name(user), *self.key(user))
        self.client = self.connect(WRITER)

    def name(self, name):
        """Return what a bucket or a user is called."""
        return f'{name}{self._place.share}'.replace('_', '-')

    def key(self, user):
        """Return the key of a user, and its secret."""
        name = self.name(user)
        return f'key-of-{name}', self._place.password(f's3-{name}')

    def connect(self, user):
        """Return a client of boto3 as a user."""
        key, secret = self.key(user)
        return boto3.client(
            's3', endpoint_url=self._radosgw.url, aws_access_key_id=key,
            aws_secret_access_key=secret, region_name='default',
        )

    def quota(self, count):
        """Let the writer have so many bytes in all, or as many as it likes.
        """
        self._radosgw.set_quota(self.name(WRITER), count)

    def make(self, name, server=None):
        """Make a bucket, which the second user may read, or empty it.

        :param server: ``Radosgw`` that stores in it use
        """
        bucket = Bucket(
            self.client, self.name(name), (server or self._radosgw).url
        )
        self.client.create_bucket(Bucket=bucket.name)
        self.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps({
            'Version': '2012-10-17',
            'Statement': [{
                'Effect': 'Allow',
                'Principal': {
                    'AWS': [f'arn:aws:iam:::user/{self.name(READER)}'],
                },
                'Action': ['s3:GetObject', 's3:ListBucket'],
                'Resource': [
                    f'arn:aws:s3:::{bucket.name}',
                    f'arn:aws:s3:::{bucket.name}/*',
                ],
            }],
        }))
        bucket.empty()
        return bucket

    def options(self, bucket, user=WRITER, **more):
        """Return the options of a store in a bucket."""
        key, secret = self.key(user)
        return {
            's3_store_host': bucket.server,
            's3_store_region_name': 'default',
            's3_store_access_key': key,
            's3_store_secret_key': secret,
            's3_store_bucket': bucket.name,
            's3_store_bucket_url_format': 'path',
            **more,
        }


class Bucket:
    """A bucket, as its owner sees it."""

    def __init__(self, client, name, server):
        self._client = client
        self.server = server
        self.name = name

    def url(self, key):
        """Return the URL that glance_store writes of an object."""
        host = self.server.partition('://')[2]
        return f's3://{host}/{self.name}/{key}'

    def keys(self):
        """List all objects."""
        pages = self._client.get_paginator('list_objects_v2').paginate(
            Bucket=self.name
        )
        return [
            each['Key'] for page in pages for each in page.get('Contents', ())
        ]

    def uploads(self):
        """List (key, id) of uploads that are not complete."""
        found = self._client.list_multipart_uploads(Bucket=self.name)
        return [
            (each['Key'], each['UploadId'])
            for each in found.get('Uploads', ())
        ]

    def put(self, key, content):
        """Make an object; return its URL."""
        self._client.put_object(Bucket=self.name, Key=key, Body=content)
        return self.url(key)

    def content(self, key):
        """Return the bytes of an object."""
        return self._client.get_object(
            Bucket=self.name, Key=key
        )['Body'].read()

    def etag(self, key):
        """Return the ETag of an object, in its quotes."""
        return self._client.head_object(Bucket=self.name, Key=key)['ETag']

    def put_in_parts(self, key, content, size):
        """Make an object of parts of a size; return its URL."""
        upload = self._begin(key)
        parts = [
            {'PartNumber': number, 'ETag': self._client.upload_part(
                Bucket=self.name, Key=key, UploadId=upload,
                PartNumber=number, Body=content[start:start + size],
            )['ETag']}
            for number, start in enumerate(range(0, len(content), size), 1)
        ]
        self._client.complete_multipart_upload(
            Bucket=self.name, Key=key, UploadId=upload,
            MultipartUpload={'Parts': parts},
        )
        return self.url(key)

    def leave_upload(self, key, content):
        """Begin an object of parts, and do not complete it."""
        upload = self._begin(key)
        self._client.upload_part(
            Bucket=self.name, Key=key, UploadId=upload, PartNumber=1,
            Body=content,
        )
        return upload

    def _begin(self, key):
        return self._client.create_multipart_upload(
            Bucket=self.name, Key=key
        )['UploadId']

    def empty(self):
        """Remove everything."""
        for key in self.keys():
            self._client.delete_object(Bucket=self.name, Key=key)
        for key, upload in self.uploads():
            self._client.abort_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload
            )


class S3Target(conformance.Target):
    """An S3 store with a bucket of its own."""

    def __init__(self, name, bucket, refuse):
        super().__init__(name)
        self.bucket = bucket
        self.refuse_writing = refuse

    def content(self, url):
        return self.bucket.content(url.rpartition('/')[2])

    def objects(self):
        return self.bucket.keys() + self.bucket.uploads()

    def plant(self, image_id, content):
        return self.bucket.put(image_id, content)

    def refuse_writing(self):
        """Let the store have the user that may only read."""


class InBuckets:
    """Inherit this too; each store has a bucket of its own."""

    @pytest.fixture
    def make(self, configured, buckets, monkeypatch):
        # It would wait for 5 MiB, which not all images have.
        monkeypatch.setattr(s3.Store, 'WRITE_CHUNKSIZE', 1024 ** 2)
        made = []

        def make_store(name):
            bucket = buckets.make(f'conformance-{len(made)}')
            made.append(bucket)

            def configure(user=WRITER):
                configured(name, 's3', **buckets.options(bucket, user))

            configure()
            return S3Target(name, bucket, lambda: configure(READER))

        yield make_store
        for bucket in made:
            bucket.empty()
