# SPDX-License-Identifier: Apache-2.0

"""Locations: ``cinder://<store>/<volume>``, and the former ones without."""

from glance_store import exceptions
from glance_store._drivers.cinder import store as stock
from oslo_utils import uuidutils

SCHEME = 'cinder'
_START = f'{SCHEME}://'


class StoreLocation(stock.StoreLocation):
    """The volume that a URL names."""

    def parse_uri(self, uri):
        """Read a URL.

        :raises: BadStoreUri
        """
        self.validate_schemas(uri, valid_schemas=(_START,))
        store, _, volume_id = uri[len(_START):].rpartition('/')
        if '/' in store or not uuidutils.is_uuid_like(volume_id):
            raise exceptions.BadStoreUri(
                message='The location must have the form '
                        'cinder://<store>/<volume id>.'
            )
        self.scheme = SCHEME
        self.volume_id = volume_id


class Prefix(str):
    """How the URLs of a store begin, for both uses that Glance makes of it.

    Glance looks whether a URL begins with it, which must not be true of
    store ``fast`` for URLs of store ``faster``; and it makes a new URL with
    ``'%s/%s' % (prefix, volume)``, which must not get two slashes.
    """

    __slots__ = ()

    def __str__(self):
        return self.removesuffix('/')


def url_of(store, volume_id):
    """Return the URL to record; ``store`` may be None."""
    return f'{_START}{store}/{volume_id}' if store else f'{_START}{volume_id}'


def prefix_of(store):
    """Return how the URLs of a store begin; ``store`` may be None."""
    return Prefix(f'{_START}{store}/') if store else _START
