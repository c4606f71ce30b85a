# SPDX-License-Identifier: Apache-2.0

"""Removing unfinished objects whose writer is gone, every few minutes.

An upload that dies leaves one, and no copy is there to be taken over.
"""

import fcntl
import os
import time

from oslo_log import log as logging

from glance_copy_plugin import process_state
from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.reconcile import late_saves
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

_INTERVAL_SECONDS = 600
_LOCK = 'stale-objects.lock'


class StaleObjects:
    """Looks for them in one process of the host."""

    def __init__(self):
        self._next = 0
        self._told = set()
        self._calls = late_saves.LaterCalls()
        self._fd = None

    def look_now_and_then(self):
        """Look if it is time for that; return at once."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL_SECONDS
        if self._is_ours():
            self._calls.call(0, self.look)

    def _is_ours(self):
        """Be the one process of this host until it ends, if none is yet."""
        if self._fd is not None:
            return True
        folder = service_process.journal().folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(
            os.path.join(folder, _LOCK),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600,
        )
        try:
            # Not inherited by what this process forks.
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def look(self):
        """Remove those that can be removed; tell of the others once."""
        for store in drivers.store_names():
            try:
                found = registry.list_stale(store)
            except Exception as exc:
                LOG.debug(
                    'Cannot look for unfinished objects in store %(store)s: '
                    '%(why)s', {'store': store, 'why': errors.redact(exc)},
                )
                continue
            for kept in found:
                self._remove(store, kept)

    def _remove(self, store, kept):
        said = {
            'image': kept.image_id, 'store': store, 'place': kept.place,
        }
        try:
            registry.remove_object(store, kept.place)
        except Exception as exc:
            if (store, kept.place) in self._told:
                return
            self._told.add((store, kept.place))
            LOG.error(
                'An unfinished object of image %(image)s stays in store '
                '%(store)s: %(why)s',
                {**said, 'why': kept.advice or driver_errors.reason(exc)},
            )
        else:
            LOG.warning(
                'Removed %(place)s from store %(store)s, which an upload or '
                'copy of image %(image)s had left unfinished', said,
            )


@process_state.once
def of_process():
    """Return the :class:`StaleObjects` of this process."""
    return StaleObjects()
