# SPDX-License-Identifier: Apache-2.0

"""The objects of images in S3: their names and their URLs."""

import dataclasses
import importlib
import uuid

from glance_store import capabilities

SCHEMES = ('s3', 's3+http', 's3+https')
PARTIAL = '.part'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where an object is.

    :param endpoint: host and port of the server
    """

    endpoint: str
    bucket: str
    key: str

    @classmethod
    def of_url(cls, url):
        """Return the place of a location; None if it is not in S3.

        Releases of glance_store before 4.0 wrote the store's key and secret
        in front of the endpoint. They are ignored.
        """
        scheme, _, path = url.partition('://')
        parts = path.rpartition('@')[2].split('/')
        if scheme not in SCHEMES or len(parts) < 3:
            return None
        return cls(
            endpoint='/'.join(parts[:-2]), bucket=parts[-2], key=parts[-1]
        )


    def may_be(self, url):
        """True if a location may mean this very object.

        A server can have several names: bucket and key decide, for what is
        not known to be another object must not be removed.
        """
        other = self.of_url(url)
        return other is not None and (
            (other.bucket, other.key) == (self.bucket, self.key)
        )


def module():
    """Return the module that needs boto3."""
    return importlib.import_module('glance_copy_plugin.backends.s3_bucket')


def opened(driver):
    """Return a context manager that gives the :class:`Bucket` of a store."""
    return module().opened(driver)


def is_configured(driver):
    """False without boto3, too."""
    return driver.is_capable(capabilities.BitMasks.WRITE_ACCESS)


def endpoint(driver):
    """Return host and port of the server of a store."""
    return driver.s3_host.rpartition('://')[2].strip('/')


def url(driver, key):
    """Return the URL of an object of a store, as its driver writes it."""
    return f'{driver.url_prefix}/{key}'


def is_of(key, image_id):
    """True if an object is that of an image, or a copy that is not complete.
    """
    return key == image_id or (
        key.startswith(f'{image_id}.') and key.endswith(PARTIAL)
    )


def partial_name(image_id):
    """Return a name for a copy that is not complete."""
    return f'{image_id}.{uuid.uuid4().hex[:12]}{PARTIAL}'
