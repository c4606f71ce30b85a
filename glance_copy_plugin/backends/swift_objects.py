# SPDX-License-Identifier: Apache-2.0

"""The objects of images in Swift: their names and their URLs.

An image is one object, or a manifest, which names its segments. Those that
glance_store's driver writes are called ``<image>-00001`` and so on. Segments
of the plugin have a name of their own for each copy, so that those of another
one never get among them: ``<image>.0123456789ab-00001``.
"""

import dataclasses
import importlib
import re
import urllib.parse
import uuid

from glance_store import capabilities

SCHEMES = ('swift', 'swift+http', 'swift+https', 'swift+config')
CONFIG = 'swift+config'
# What servers keep as one object, bytes.
LARGEST = 5 * 1024 ** 3
_SEGMENT = re.compile(
    r'(?P<prefix>(?P<image>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'
    r'(?:\.[0-9a-f]{12})?-)[0-9]{5}'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where an object is, as a location says it.

    :param reference: the address is a name in the configuration
    :param address: such a name, or Keystone's address without its scheme
    :param project: whose account it is; None if it is not said
    """

    reference: bool
    address: str
    project: str | None
    container: str
    key: str

    @classmethod
    def of_url(cls, url):
        """Return the place of a location; None if it is not in Swift."""
        scheme, _, path = url.partition('://')
        user, _, path = path.rpartition('@')
        parts = path.split('/')
        if scheme not in SCHEMES or len(parts) < 3:
            return None
        login = urllib.parse.unquote(user).split(':')
        return cls(
            reference=scheme == CONFIG, address='/'.join(parts[:-2]),
            project=login[0] if len(login) > 2 else None,
            container=parts[-2], key=parts[-1],
        )

    def may_be(self, url):
        """True if a location may mean this very object.

        An account can be named in several ways: container and key decide,
        for what is not known to be another object must not be removed.
        """
        other = self.of_url(url)
        return other is not None and (
            (other.container, other.key) == (self.container, self.key)
        )

    def is_of(self, driver):
        """True if a store reaches it with its own user."""
        if self.reference:
            return self.address == driver.store_conf.default_swift_reference
        return self.address.strip('/') == address(driver) and (
            self.project in (None, project(driver))
        )


def module(name='container'):
    """Return a module that needs swiftclient: ``account`` or ``container``."""
    return importlib.import_module(
        f'glance_copy_plugin.backends.swift_{name}'
    )


def opened(driver, image_id=None, container=None):
    """Return a context manager that gives the :class:`Container` of a store.

    :param image_id: of an image that is in it, or will be
    :param container: name of another one in the same account
    """
    if image_id:
        container = container_of(driver, image_id)
    return module().opened(driver, container)


def is_configured(driver):
    """False without swiftclient, too, and where each user has containers."""
    return driver.is_capable(capabilities.BitMasks.WRITE_ACCESS) and (
        not driver.store_conf.swift_store_multi_tenant
    )


def address(driver):
    """Return Keystone's address as the driver writes it into locations."""
    return driver.auth_address.rpartition('://')[2].strip('/')


def project(driver):
    """Return the project of the store's user; None if that is not said."""
    return driver.user.partition(':')[0] if driver.user else None


def url(driver, container, key):
    """Return a URL that the driver can read, without credentials."""
    reference = driver.store_conf.default_swift_reference
    return f'{CONFIG}://{reference}/{container}/{key}'


def container_of(driver, image_id):
    """Return the name of the container of an image."""
    return driver.get_container_name(
        image_id, driver.store_conf.swift_store_container
    )


def new_prefix(image_id):
    """Return how the segments of a copy are called, without their number."""
    return f'{image_id}.{uuid.uuid4().hex[:12]}-'


def prefix_of(key):
    """Return (image's id, prefix) of a segment; None if it is none."""
    found = _SEGMENT.fullmatch(key)
    return found and (found['image'], found['prefix'])


def segment_size(driver, size, count):
    """Return how many bytes a segment gets; ``count`` are possible.

    As the driver's, unless an image needs too many.
    """
    return max(driver.large_object_chunk_size, -(-size // count))
