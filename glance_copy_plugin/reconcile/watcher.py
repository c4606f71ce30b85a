# SPDX-License-Identifier: Apache-2.0

"""The thread that looks for copies without an owner."""

import concurrent.futures
import os
import threading

from oslo_log import log as logging

from glance_copy_plugin.reconcile import shutdown
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
    :param resume: called with each entry that this process took over
    :param interval: seconds between two looks
    :param look: called at each look
    """

    def __init__(self, journal, resume, interval, look=lambda: None):
        self._journal = journal
        self._resume = resume
        self._interval = interval
        self._look = look
        self.forget()

    @property
    def running(self):
        """True if the thread was started in this process, and is to look."""
        return self._pid == os.getpid()

    def ensure_running(self):
        """Start the thread unless it runs in this process already.

        Cheap enough for every request: a server may load the application
        before it forks, and a thread does not survive that.
        """
        if self.running:
            return
        with self._lock:
            if self.running:
                return
            self._pid = os.getpid()
            self._paused = threading.Event()
            threading.Thread(
                target=self._watch, args=(self._paused,),
                name='copy-image-recovery', daemon=True,
            ).start()

    def pause(self):
        """Stop looking until somebody has the thread run again."""
        with self._lock:
            self._pid = None
            self._paused.set()

    def forget(self):
        """Begin anew in a forked process, where there is no thread."""
        self._lock = threading.Lock()
        self._paused = threading.Event()
        self._pid = None

    def _watch(self, paused):
        paused.wait(min(self._interval, _MOST_SECONDS_TO_FORK))
        pool = concurrent.futures.ThreadPoolExecutor(
            _AT_ONCE, thread_name_prefix='copy-image-recovery'
        )
        while not paused.is_set() and not shutdown.noticed():
            try:
                for entry in self._ownerless():
                    if entry.begin():
                        pool.submit(self._take_over, entry)
                self._look()
            except Exception:
                LOG.exception('Looking for interrupted copies failed')
            paused.wait(self._interval)

    def _ownerless(self):
        yield from self._journal.abandoned()
        # Accepted, but Glance's executor did not run it: it loses tasks when
        # its database is locked at the wrong moment.
        yield from self._journal.dropped(2 * self._interval)

    def _take_over(self, entry):
        try:
            self._resume(entry)
        except Exception as exc:
            LOG.error(
                'The copy of image %(image)s could not be taken over and is '
                'tried again later: %(why)s',
                {'image': entry.image_id, 'why': errors.redact(exc)},
            )
        finally:
            # Harmless if the copy ended, which removes the entry.
            entry.release()
