# SPDX-License-Identifier: Apache-2.0

"""The staging of one copy: its space, its sources, and who follows it."""

import threading

from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import space
from glance_copy_plugin.transfer import staging


class CopyStaging:
    """Stages the image of a copy, for groups of stores or for one again.

    :param copy: :class:`Copy`
    :param cancel: the copy's :class:`CancelToken`
    :param told: the copy's :class:`Progress`

    ``limit`` is the :class:`BandwidthLimit` of all that reads the image.
    """

    def __init__(self, copy, cancel, told):
        self.limit = limits.BandwidthLimit(
            copy.options.bandwidth_limit, cancel
        )
        self._copy = copy
        self._options = copy.options
        self._cancel = cancel
        self._progress = told
        self._plan = None
        self._in_place = False
        self._reserved = None
        self._of_store = {}
        self._all = []
        self._closed = threading.Lock()

    def prepare(self, plan):
        """Reserve what staging may need; wait until it is there.

        One store needs nothing: it reads what is in memory. An image that is
        read in place needs nothing, unless reading has to go on elsewhere:
        then it is reserved when that is known.

        :param plan: :class:`Plan`
        :raises: :class:`StagingError` if it can never be there
        """
        self._plan = plan
        self._in_place = plan.sources[0].local_file() is not None
        if not self._in_place and self._readers() > 1:
            self._reserve_once()

    def start(self, stores):
        """Start to stage the image for ``stores``; return the Staging.

        For one of them again: what the others had passed is gone.
        """
        started = staging.Staging(
            self._plan.sources,
            self._plan.expected,
            stores,
            options=staging.StagingOptions(
                folder=self._copy.staging_folder,
                memory=self._options.staging_memory,
                window=self._options.staging_window,
                algorithms=self._plan.algorithms(stores),
                retries=self._options.retries,
                retry_interval=self._options.retry_interval,
                timeout=self._options.store_timeout,
            ),
            limit=self.limit,
            cancel=self._cancel,
            on_bytes=self._on_read,
            reserve=self._reserve_once,
        )
        self._all.append(started)
        self._of_store.update(dict.fromkeys(stores, started))
        started.start()
        return started

    def of(self, store):
        """Return the Staging that was started for ``store``."""
        return self._of_store[store]

    def known_of(self, store):
        """Return what is known of the bytes that ``store`` was given.

        :returns: as :meth:`ImageRecord.store_done` takes it; hashes only if
            they were read here
        """
        plan = self._plan
        known = {'size': plan.size}
        staged = self._of_store.get(store)
        hexdigests = staged.hexdigests if staged else {}
        if 'md5' in hexdigests:
            known['checksum'] = hexdigests['md5']
        if plan.hash_algorithm in hexdigests:
            known['os_hash_algo'] = plan.hash_algorithm
            known['os_hash_value'] = hexdigests[plan.hash_algorithm]
        return known

    def close(self):
        """Remove staged data and give its space back. Safe to call twice."""
        with self._closed:
            while self._all:
                self._all.pop().close()
            if self._reserved is not None:
                self._reserved.release()
                self._reserved = None

    def _readers(self):
        """Return how many stores will read what is staged first."""
        return sum(
            self._plan.needs_staging(store) for store in self._copy.stores
        )

    def _reserve_once(self):
        if self._reserved is not None:
            return
        size = self._plan.size
        self._reserved = space.StagingSpace(self._options.staging_dir).reserve(
            min(size, self._options.staging_window or size),
            folder=self._copy.staging_folder, cancel=self._cancel,
            on_wait=lambda: self._progress.wait(progress.SPACE),
        )
        self._progress.go_on()

    def _on_read(self, count):
        if self._in_place:
            self._progress.read(count)
        else:
            self._progress.staged(count)
