# SPDX-License-Identifier: Apache-2.0

"""The thread that renews the claims of a worker process."""

import threading

from oslo_log import log as logging

from glance_copy_plugin.jobboard import board as board_
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class LeaseRenewer:
    """Renews each claim four times before it would expire.

    :param expiry: seconds that a claim lasts
    """

    def __init__(self, expiry):
        self._interval = expiry / 4
        self._lock = threading.Lock()
        self._claims = []
        self._stopped = threading.Event()

    def start(self):
        """Begin to renew."""
        threading.Thread(
            target=self._keep, name='copy-image-claims', daemon=True
        ).start()

    def stop(self):
        """Renew nothing any more."""
        self._stopped.set()

    def add(self, claim):
        """Renew a claim until it has ended."""
        with self._lock:
            self._claims.append(claim)

    def claims(self):
        """Return the claims that have not ended."""
        with self._lock:
            self._claims = [each for each in self._claims if not each.ended]
            return list(self._claims)

    def _keep(self):
        while not self._stopped.wait(self._interval):
            for claim in self.claims():
                try:
                    claim.renew()
                except board_.JobboardUnreachable as exc:
                    LOG.warning('Claims cannot be renewed now: %s', exc)
                    break
                except Exception as exc:
                    LOG.error(
                        'The claim of image %(image)s was not renewed: '
                        '%(why)s',
                        {'image': claim.image_id, 'why': errors.redact(exc)},
                    )
