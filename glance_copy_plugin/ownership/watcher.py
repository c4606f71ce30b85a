# SPDX-License-Identifier: Apache-2.0

"""Looking for copies whose process is gone."""

import concurrent.futures
import os
import threading

from oslo_log import log as logging

from glance_copy_plugin import periodic
from glance_copy_plugin.ownership import running_copies
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

# So long a server may take to fork once it has loaded the service: what runs
# in its threads just then is cut in two, with locks that nobody gives back.
_MOST_SECONDS_TO_FORK = 2
# Copies that are taken over at the same time, in one process.
_AT_ONCE = 2


class Watcher:
    """Looks at the journal at every interval, in each process of the host.

    :param journal: :class:`Journal`
    :param resume: called with each lease that this process took over
    :param interval: seconds between two looks
    :param look: called at each look
    """

    def __init__(self, journal, resume, interval, look=lambda: None):
        self._journal = journal
        self._resume = resume
        self._interval = interval
        self._look = look
        self.after_fork()

    @property
    def running(self):
        """True if this process is to look."""
        return self._pid == os.getpid()

    def ensure_running(self):
        """Begin to look, unless this process does so already.

        Cheap enough for every request: a server may load the application
        before it forks, and a thread does not survive that.
        """
        if self.running:
            return
        with self._lock:
            if self.running:
                return
            self._pid = os.getpid()
            self._pool = concurrent.futures.ThreadPoolExecutor(
                _AT_ONCE, thread_name_prefix='copy-image-takeover'
            )
            self._periodic = periodic.Periodic(
                self._look_once, self._interval,
                what='look for interrupted copies',
                first=min(self._interval, _MOST_SECONDS_TO_FORK),
            )
            self._periodic.start()

    def pause(self):
        """Look no more until :meth:`ensure_running` is called again."""
        with self._lock:
            if self._periodic is not None:
                self._periodic.stop()
            self._pid = None

    def after_fork(self):
        """No thread of the parent is this process's."""
        self._lock = threading.Lock()
        self._periodic = None
        self._pid = None

    def _look_once(self):
        if running_copies.of_process().stopping:
            return
        for lease in self._ownerless():
            if lease.begin():
                self._pool.submit(self._take_over, lease)
        self._look()

    def _ownerless(self):
        yield from self._journal.abandoned()
        # Accepted, but Glance's executor did not run it: it loses tasks when
        # its database is locked at the wrong moment.
        yield from self._journal.dropped(2 * self._interval)

    def _take_over(self, lease):
        try:
            self._resume(lease)
        except Exception as exc:
            LOG.error(
                'The copy of image %(image)s could not be taken over and is '
                'tried again later: %(why)s',
                {'image': lease.image_id, 'why': errors.redact(exc)},
            )
        finally:
            # Harmless if the copy ended, which removes the lease.
            lease.release()
