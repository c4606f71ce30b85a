# SPDX-License-Identifier: Apache-2.0

"""Finding the store of a volume whose location does not name one.

Glance asks each store in turn, whenever an image with such a location is
shown, and records the first that says yes.
"""

import logging
import threading
import time

from glance_store import exceptions
from glance_store import location

from glance_store_cinder import errors
from glance_store_cinder import provenance
from glance_store_cinder import volume_types
from glance_store_cinder import volumes

LOG = logging.getLogger(__name__)

# Seconds for which an answer is remembered that changes nothing.
REMEMBERED = 300
_REMEMBERED_SILENCE = 30
_MOST = 10000


class Memory:
    """Remembers keys for a while."""

    def __init__(self, now=time.monotonic):
        self._now = now
        self._until = {}
        self._lock = threading.Lock()

    def __contains__(self, key):
        with self._lock:
            return self._until.get(key, 0) > self._now()

    def add(self, key, seconds):
        """Remember a key; forget what is over if there is too much."""
        now = self._now()
        with self._lock:
            if len(self._until) >= _MOST:
                self._until = {
                    old: until for old, until in self._until.items()
                    if until > now
                }
            if len(self._until) < _MOST:
                self._until[key] = now + seconds


# Common to all stores: each of them may be asked about a volume.
_WARNED = Memory()


class Associations:
    """Says which volumes are those of one store.

    :param store: the driver
    """

    def __init__(self, store):
        self._store = store
        self._not_ours = Memory()

    def is_ours(self, context, volume_id):
        """True if images in that volume belong to this store; never raises.

        :param context: of the request
        """
        key = volume_id, self._asker(context)
        if key in self._not_ours:
            return False
        try:
            volume = self._volume(context, volume_id)
            if volume.volume_type == self._own_type(context):
                return self._is_chosen(context, volume)
        except exceptions.NotFound:
            LOG.warning(
                'Store %(store)s finds no volume %(id)s, which a location '
                'without a store names. If it belongs to another project, it '
                'has to be transferred to that of the store. It is looked '
                'for again in %(seconds)d s.', {
                    'store': self._store.name, 'id': volume_id,
                    'seconds': REMEMBERED,
                },
            )
        except Exception as exc:
            LOG.warning(
                'Store %(store)s cannot tell whether volume %(id)s is one of '
                'its own: %(why)s', {
                    'store': self._store.name, 'id': volume_id, 'why': exc,
                },
            )
            self._not_ours.add(key, _REMEMBERED_SILENCE)
            return False
        self._not_ours.add(key, REMEMBERED)
        return False

    def would_take(self, context, volume_id, its_type):
        """True if the volume is of the store's type, and can be seen."""
        if self._own_type(context) != its_type:
            return False
        try:
            return self._volume(context, volume_id).volume_type == its_type
        except (
            exceptions.NotFound, exceptions.Forbidden, errors.Unreachable
        ):
            return False

    def _asker(self, context):
        if self._store.told.has_own_login or context is None:
            return None
        return context.project_id

    def _volume(self, context, volume_id):
        return volumes.get(self._store.client(context), volume_id)

    def _own_type(self, context):
        return self._store.told.volume_type or volume_types.default(
            self._store.client(context)
        )

    def _is_chosen(self, context, volume):
        """Decide between all stores that the volume may belong to."""
        volume_id, its_type = volume.id, volume.volume_type
        candidates = [
            name for name, other in _stores()
            if other is self._store
            or _would_take(other, context, volume_id, its_type)
        ]
        if len(candidates) < 2:
            return True
        # Volumes of this driver say who made them.
        maker = volume.metadata.get(provenance.STORE)
        if maker in candidates:
            return maker == self._store.name
        default = self._store.conf.glance_store.default_backend
        chosen = default if default in candidates else candidates[0]
        if volume_id not in _WARNED:
            _WARNED.add(volume_id, REMEMBERED)
            LOG.warning(
                'Volume %(id)s, which a location without a store names, may '
                'belong to any of the stores %(stores)s, which have the '
                'volume type %(type)s: it is recorded for %(chosen)s', {
                    'id': volume_id, 'stores': ', '.join(candidates),
                    'type': its_type, 'chosen': chosen,
                },
            )
        return chosen == self._store.name


def _stores():
    """Return all stores that keep images in Cinder, as (name, driver)."""
    found = location.SCHEME_TO_CLS_BACKEND_MAP.get('cinder', {})
    return [(name, entry['store']) for name, entry in found.items()]


def _would_take(other, context, volume_id, its_type):
    associations = getattr(other, 'associations', None)
    if associations is not None:
        try:
            return associations.would_take(context, volume_id, its_type)
        except exceptions.BadStoreConfiguration:
            return False
    # glance_store's own driver.
    return other.store_conf.cinder_volume_type == its_type
