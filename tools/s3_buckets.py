# SPDX-License-Identifier: Apache-2.0

"""The buckets of the benchmark with a real OpenStack."""

import hashlib

from tests.cloud import buckets
from tools import images

STORES = ('s3-a', 's3-b')


class Buckets:
    """The buckets of the stores in S3.

    :param cloud: ``Cloud``
    """

    def __init__(self, cloud):
        self._buckets = buckets.Buckets(cloud)
        self._url = cloud.radosgw.url
        self._made = {
            store: self._buckets.make(f'bench-{store}') for store in STORES
        }

    def name(self, store):
        """Return the name of a store's bucket."""
        return self._made[store].name

    def stores(self):
        """Return {store: its options}."""
        return {
            store: {'driver': 's3', **self._buckets.options(bucket)}
            for store, bucket in self._made.items()
        }

    def login(self):
        """Return what ``rclone`` has to know."""
        key, secret = self._buckets.key(buckets.WRITER)
        return {
            'type': 's3', 'provider': 'Ceph', 'endpoint': self._url,
            'access_key_id': key, 'secret_access_key': secret,
        }

    def hash_of(self, store, key):
        """Return the hash of an object."""
        found = hashlib.sha512()
        for chunk in self._buckets.client.get_object(
            Bucket=self.name(store), Key=key
        )['Body'].iter_chunks(images.MIB):
            found.update(chunk)
        return found.hexdigest()

    def discard(self, name):
        """Remove ``bucket/object``."""
        bucket, _, key = name.partition('/')
        self._buckets.client.delete_object(Bucket=bucket, Key=key)

    def remove(self):
        """Remove the buckets with all that is in them."""
        for bucket in self._made.values():
            bucket.empty()
            self._buckets.client.delete_bucket(Bucket=bucket.name)
