# SPDX-License-Identifier: Apache-2.0

"""What the tasks of one copy share while it runs."""

import dataclasses
import os
import threading
import time

import glance.db
from oslo_log import log as logging

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.flow import monitor as monitor_
from glance_copy_plugin.flow import verifying
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.records import notifications
from glance_copy_plugin.records import retry
from glance_copy_plugin.records import task as task_record
from glance_copy_plugin.transfer import cancel
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import space
from glance_copy_plugin.transfer import staging

LOG = logging.getLogger(__name__)


_RUNNING = set()
_RUNNING_CHANGED = threading.Condition()
_NO_MORE = threading.Event()


def suspend_all(seconds):
    """Stop every copy of this process; another one will carry them on.

    From now on, none begins here.

    :param seconds: how long to wait for them
    :returns: True if all have stopped
    """
    with _RUNNING_CHANGED:
        _NO_MORE.set()
        running = list(_RUNNING)
    # Nothing that was lost is disturbed: a driver that is stopped removes what
    # it writes by its name, and that may be another process's by now.
    for run in [each for each in running if not each.entry.lost]:
        run.cancel.cancel(errors.Suspended('the service is being stopped'))
    with _RUNNING_CHANGED:
        return _RUNNING_CHANGED.wait_for(lambda: not _RUNNING, seconds)


def forget_all():
    """Begin anew in a forked process: no copy of its parent runs in it."""
    global _RUNNING_CHANGED
    _RUNNING_CHANGED = threading.Condition()
    _RUNNING.clear()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How the image will reach each store; made once, when the copy begins.

    :param size: bytes
    :param expected: :class:`Expected`
    :param checksum: md5 of the image, or None
    :param hash_algorithm: of the image's ``os_hash_value``, or what that will
        be computed with
    :param unrecorded: algorithms of the hashes that the record lacks
    :param locations: readable :class:`Location` objects, best first
    :param sources: the same as :class:`Source` objects
    :param copiers: ``{store: ServerSideCopier}`` of the stores that have one
    :param writers: ``{store: Writer}`` of all stores
    """

    size: int
    expected: digests.Expected
    checksum: str | None
    hash_algorithm: str
    unrecorded: tuple
    locations: tuple
    sources: tuple
    copiers: dict
    writers: dict

    def needs_staging(self, store):
        """True if the store is given the image by this process."""
        return store not in self.copiers

    def algorithms(self, stores):
        """Return the hashes to compute for stores beside the image's own."""
        return (*self.unrecorded, *(
            algorithm for store in stores
            for algorithm in self.writers[store].algorithms
        ))


class CopyRun:
    """One copy of one image, from the first task to the last.

    :param context: the requester's context
    :param task_repo: Glance's repository of tasks
    :param image_id: the image
    :param task_id: the task, which is also the image's lock
    :param stores: names of the stores to copy into
    :param all_must_succeed: one failure fails the copy
    :param options: :class:`~glance_copy_plugin.options.copy_image.CopyOptions`
    :param copy_slots: :class:`Slots` of the process
    :param entry: the copy's :class:`Entry` in the host's journal, or a
        worker's :class:`Claim`
    :param resumed: another process has begun this copy
    """

    def __init__(
        self, *, context, task_repo, image_id, task_id, stores,
        all_must_succeed, options, copy_slots, entry, resumed,
    ):
        self.user_context = context
        self.context = context.elevated()
        self.image_id = image_id
        self.task_id = task_id
        self.stores = tuple(stores)
        self.all_must_succeed = all_must_succeed
        self.options = options
        self.entry = entry
        self.resumed = resumed
        self.cancel = cancel.CancelToken()
        self.progress = progress.Progress(self.stores)
        self.record = image_record.ImageRecord(
            self.context, image_id, task_id, entry.check
        )
        self.task = task_record.TaskRecord(
            task_repo, glance.db.get_api(), self.context, task_id
        )
        self.notifications = notifications.Notifications(self.record)
        self.store_slots = limits.Slots(options.max_parallel_stores)
        self.plan = None
        self.limit = limits.BandwidthLimit(
            options.bandwidth_limit, self.cancel
        )
        self._copy_slots = copy_slots
        self._has_slot = False
        self._has_space = False
        self._stages = False
        self._reserved = []
        self._stagings = {}
        self._all_stagings = []
        self._monitor = monitor_.Monitor(self)
        self._closed = threading.Lock()
        self._proving = threading.Lock()
        self._not_safe = None
        self._entered = None

    def enter(self):
        """Count the copy as one of this process, until it has ended.

        :returns: False if this process is being stopped: the copy has to be
            left to another one
        """
        with _RUNNING_CHANGED:
            if _NO_MORE.is_set():
                return False
            _RUNNING.add(self)
        self._entered = time.monotonic()
        instrumentation.observer().begun()
        return True

    def start(self):
        """Begin to watch the records, and wait for a place to run."""
        self._monitor.start()
        self._copy_slots.acquire(
            self.cancel, on_wait=lambda: self.progress.wait(progress.A_PLACE)
        )
        self._has_slot = True
        self.progress.go_on()

    def close(self):
        """Stop watching, remove staged data, give the place back.

        Called on every way out; safe to call twice.
        """
        self._monitor.stop()
        with self._closed:
            while self._all_stagings:
                self._all_stagings.pop().close()
            while self._reserved:
                self._reserved.pop().release()
            if self._has_slot:
                self._has_slot = False
                self._copy_slots.release()

    def leave(self):
        """Leave the copy to another process."""
        self.close()
        self._say_suspended()
        LOG.info(
            'The copy of image %s is left to the next process', self.image_id
        )
        self.entry.hand_over()
        self.ended(instrumentation.LEFT)

    def _say_suspended(self):
        if self.entry.lost:
            # The next process has something to say by now.
            return
        try:
            self.task.say(progress.SUSPENDED)
        except Exception as exc:
            LOG.info(
                'That the copy of image %(image)s is suspended was not '
                'written: %(why)s',
                {'image': self.image_id, 'why': errors.redact(exc)},
            )

    def ended(self, result):
        """Nothing of this copy runs in this process any more.

        :param result: ``DONE``, ``FAILED`` or ``LEFT``
        """
        instrumentation.observer().ended(
            result, time.monotonic() - self._entered
        )
        with _RUNNING_CHANGED:
            _RUNNING.discard(self)
            _RUNNING_CHANGED.notify_all()

    @property
    def suspended(self):
        """True if another process carries on, or shall do so."""
        return self.entry.lost or isinstance(
            self.cancel.error, errors.Suspended
        )

    @retry.retried
    def confirm(self):
        """Return if the copy is still this process's.

        Asked before something is removed from a store: it may be what the
        next process has just written there.

        :raises: :class:`ClaimLost`
        """
        self.entry.check()

    def not_safe(self):
        """Read the image's recorded data, once; say why none of it is right.

        Asked before an object of the image is removed that no location names.

        :returns: an empty string if some data is right, or the image is gone
        """
        with self._proving:
            if self._not_safe is None:
                try:
                    facts = self.record.facts()
                except image_record.ImageGone:
                    return ''
                self._not_safe = verifying.not_safe_in(
                    drivers.readable(facts.locations),
                    verifying.expected_of(facts), self.context,
                )
            return self._not_safe

    def stop(self, error):
        """Stop the copy because of ``error``, unless it is another's by now.

        Then nothing is stopped: a driver that is stopped half-way removes
        what it writes by its name, which the next process may have written.

        :returns: False if it is another's, or may be
        """
        try:
            self.confirm()
        except errors.ClaimLost:
            return False
        self.cancel.cancel(error)
        return True

    def reserve_space(self):
        """Reserve what staging will need; wait until it is there.

        An image that is read in place needs nothing, unless reading has to go
        on elsewhere: then it is reserved when that is known.

        :raises: :class:`StagingError` if it can never be there
        """
        if not self._reads_first_in_place() and any(
            self.plan.needs_staging(store) for store in self.stores
        ):
            self._reserve_once()

    def known_of(self, store):
        """Return what is known of the bytes that ``store`` was given.

        :returns: as :meth:`ImageRecord.store_done` takes it; hashes only if
            they were read here
        """
        known = {'size': self.plan.size}
        staged = self._stagings.get(store)
        hexdigests = staged.hexdigests if staged else {}
        if 'md5' in hexdigests:
            known['checksum'] = hexdigests['md5']
        if self.plan.hash_algorithm in hexdigests:
            known['os_hash_algo'] = self.plan.hash_algorithm
            known['os_hash_value'] = hexdigests[self.plan.hash_algorithm]
        return known

    def stage_alone(self, store):
        """Stage the image once more, for one store.

        :raises: :class:`StagingError` if there is no space for it
        """
        if not self._reads_first_in_place():
            # Waiting for more while holding some is how two copies would
            # wait for each other for ever.
            self._reserve(None)
        return self.stage((store,))

    def staging_of(self, store):
        """Return the Staging that was started for ``store``."""
        return self._stagings[store]

    @property
    def staging_folder(self):
        return os.path.join(
            self.options.staging_dir, 'copy-image', self.task_id
        )

    def _reads_first_in_place(self):
        return self.plan.sources[0].local_file() is not None

    def _reserve_once(self):
        if not self._has_space:
            self._reserve(lambda: self.progress.wait(progress.SPACE))
            self._has_space = True
            self.progress.go_on()

    def _before_staged(self):
        self._reserve_once()
        self._stages = True

    def _on_read(self, count):
        tell = self.progress.staged if self._stages else self.progress.read
        tell(count)

    def _reserve(self, on_wait):
        size = self.plan.size
        self._reserved.append(
            space.StagingSpace(self.options.staging_dir).reserve(
                min(size, self.options.staging_window or size),
                folder=self.staging_folder, cancel=self.cancel,
                on_wait=on_wait,
            )
        )

    def stage(self, stores):
        """Start to stage the image for ``stores``; return the Staging."""
        started = staging.Staging(
            self.plan.sources,
            self.plan.expected,
            stores,
            options=staging.StagingOptions(
                folder=self.staging_folder,
                window=self.options.staging_window,
                algorithms=self.plan.algorithms(stores),
                retries=self.options.retries,
                retry_interval=self.options.retry_interval,
                timeout=self.options.store_timeout,
            ),
            limit=self.limit,
            cancel=self.cancel,
            on_bytes=self._on_read,
            reserve=self._before_staged,
        )
        self._all_stagings.append(started)
        self._stagings.update(dict.fromkeys(stores, started))
        started.start()
        return started
