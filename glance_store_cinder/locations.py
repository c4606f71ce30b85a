# SPDX-License-Identifier: Apache-2.0

"""Locations: ``cinder://<store>/<volume>``, and the former ones without store.

Glance asks each store in turn whether a former one is its own, whenever an
image with it is shown, and records the first that says yes.
"""

import logging
import time

from glance_store import exceptions
from glance_store import location
from glance_store._drivers.cinder import store as stock
from oslo_utils import uuidutils

from glance_store_cinder import errors
from glance_store_cinder import provenance

LOG = logging.getLogger(__name__)

SCHEME = 'cinder'
_START = f'{SCHEME}://'
# Seconds for which an answer is remembered that changes nothing.
REMEMBERED = 300
_REMEMBERED_SILENCE = 30
_MOST = 10000


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


class Memory:
    """Remembers keys for a while; forgets what is over if there is too much.

    :param now: tells the time in seconds
    """

    def __init__(self, now=time.monotonic):
        self._now = now
        self._until = {}

    def __contains__(self, key):
        return self._until.get(key, 0) > self._now()

    def add(self, key, seconds):
        """Remember a key for so long."""
        now = self._now()
        if len(self._until) >= _MOST:
            self._until = {
                old: until for old, until in list(self._until.items())
                if until > now
            }
        if len(self._until) < _MOST:
            self._until[key] = now + seconds


class Associations:
    """Says which volumes, in locations without a store, are of one store.

    :param store: the driver
    """

    def __init__(self, store):
        self._store = store
        self._not_ours = Memory()
        self._warned = Memory()

    def is_ours(self, context, volume_id):
        """True if images in that volume belong to this store; never raises.

        :param context: of the request
        """
        store = self._store
        asker = (
            None if context is None or store.settings.has_own_login
            else context.project_id
        )
        key = volume_id, asker
        if key in self._not_ours:
            return False
        try:
            volumes = store.volumes(context)
            volume = volumes.get(volume_id)
            if volume.volume_type == volumes.own_type():
                return self._is_chosen(context, volume)
        except exceptions.NotFound:
            LOG.warning(
                'Store %(store)s does not find volume %(id)s, whose location '
                'names no store. If it belongs to another project, transfer '
                'it to that of the store, which looks for it again in '
                '%(seconds)d s.', {
                    'store': store.name, 'id': volume_id,
                    'seconds': REMEMBERED,
                },
            )
        except Exception as exc:
            LOG.warning(
                'Store %(store)s cannot tell whether volume %(id)s is one of '
                'its own: %(why)s', {
                    'store': store.name, 'id': volume_id, 'why': exc,
                },
            )
            self._not_ours.add(key, _REMEMBERED_SILENCE)
            return False
        self._not_ours.add(key, REMEMBERED)
        return False

    def would_take(self, context, volume):
        """True if the volume is of the store's type, and can be seen."""
        try:
            volumes = self._store.volumes(context)
        except exceptions.BadStoreConfiguration:
            return False
        its_type = volume.volume_type
        if volumes.own_type() != its_type:
            return False
        try:
            return volumes.get(volume.id).volume_type == its_type
        except (
            exceptions.NotFound, exceptions.Forbidden, errors.Unreachable
        ):
            return False

    def _is_chosen(self, context, volume):
        """Decide between all stores that the volume may belong to."""
        stores = location.SCHEME_TO_CLS_BACKEND_MAP.get(SCHEME, {})
        candidates = [
            name for name, entry in stores.items()
            if entry['store'] is self._store
            or _would_take(entry['store'], context, volume)
        ]
        if len(candidates) < 2:
            return True
        # Volumes of this driver say who made them.
        maker = volume.metadata.get(provenance.STORE)
        if maker in candidates:
            return maker == self._store.name
        default = self._store.conf.glance_store.default_backend
        chosen = default if default in candidates else candidates[0]
        if chosen == self._store.name and volume.id not in self._warned:
            self._warned.add(volume.id, REMEMBERED)
            LOG.warning(
                'Volume %(id)s, whose location names no store, may belong to '
                'any of the stores %(stores)s, which have the volume type '
                '%(type)s. It is recorded for %(chosen)s.', {
                    'id': volume.id, 'stores': ', '.join(candidates),
                    'type': volume.volume_type, 'chosen': chosen,
                },
            )
        return chosen == self._store.name


def _would_take(other, context, volume):
    associations = getattr(other, 'associations', None)
    if associations is not None:
        return associations.would_take(context, volume)
    # glance_store's own driver.
    return other.store_conf.cinder_volume_type == volume.volume_type
