# SPDX-License-Identifier: Apache-2.0

"""Reading an image once, checking it, and offering it to its followers."""

import contextlib
import dataclasses
import logging
import os
import threading

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import filling
from glance_copy_plugin.transfer import spool
from glance_copy_plugin.transfer import timeouts

LOG = logging.getLogger(__name__)

# Longer than a source that is told to stop is waited for.
_STOP_SECONDS = 1.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagingOptions:
    """How to stage.

    :param folder: directory of this copy within the staging area
    :param memory: most bytes to hold in memory
    :param window: most bytes to hold in the directory at once, or None
    :param algorithms: hashes to compute beside the image's own
    :param retries: how often reading is tried again without getting further
    :param retry_interval: seconds before the first of these tries
    :param timeout: the longest time in seconds that a source may not answer
    """

    folder: str
    memory: int = 16 * 1024 ** 2
    window: int | None = None
    algorithms: tuple = ()
    retries: int = 3
    retry_interval: float = 1.0
    timeout: float = 600.0


class Staging:
    """Stages one image for a group of followers, in a thread of its own.

    Every *attempt* has a spool of its own. A source that fails half-way is
    continued from the next one at the same offset, or after a pause from the
    same. Bytes that turn out wrong, and a source that does not answer any
    more, end the attempt: its followers get an error, and the next attempt
    begins with the next source. Followers therefore loop over
    :meth:`attempts`.

    :param sources: :class:`Source` objects, best first
    :param expected: :class:`Expected`, what the image's record says
    :param followers: names of those who will follow
    :param options: :class:`StagingOptions`
    :param limit: :class:`BandwidthLimit`
    :param cancel: the copy's :class:`CancelToken`
    :param on_bytes: called with the number of bytes staged so far
    :param reserve: called before anything is written to the staging area;
        returns when there is space
    """

    def __init__(
        self, sources, expected, followers, *, options, limit, cancel,
        on_bytes=None, reserve=None,
    ):
        self._sources = list(sources)
        self._expected = expected
        self._names = tuple(followers)
        self._options = options
        self._limit = limit
        # The copy's reason to stop, or that staging was closed.
        self._cancel = cancel_token.CancelToken()
        self._on_bytes = on_bytes or (lambda count: None)
        self._reserve = reserve
        self._changed = threading.Condition()
        self._attempts = []
        self._left = set()
        self._closed = False
        self._done = False
        self._thread = None
        self._left_behind = set()
        self.failure = None
        self.hexdigests = {}
        self._cancel.on_cancel(self._wake)
        cancel.on_cancel(lambda: self._cancel.cancel(cancel.error))

    def start(self):
        """Begin to read the image."""
        self._thread = threading.Thread(
            target=self.run, name='copy-image-staging', daemon=True
        )
        self._thread.start()

    def attempts(self, name):
        """Yield the follower ``name`` of each attempt, until one is good.

        The caller ends its loop when it has all it wants; asking for the
        next attempt means that the last one was rejected.

        :raises: :class:`CopyError` when there will be no further attempt
        """
        try:
            for index in range(len(self._sources) + 1):
                follower = self._attempt(index).follower(name)
                try:
                    yield follower
                finally:
                    follower.close()
        finally:
            self._leave(name)

    def close(self):
        """Stop reading and remove every staged file. Safe to call twice.

        A source that does not answer cannot be made to: its thread is left
        behind, to end when the driver gives up.
        """
        error = errors.StagingError('staging was closed')
        self._cancel.cancel(error)
        with self._changed:
            self._closed = True
            for attempt in self._attempts:
                attempt.abandon(error)
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        with self._changed:
            for attempt in self._attempts:
                if attempt in self._left_behind:
                    attempt.unlink()
                else:
                    attempt.close()
        # Not there, or in use by another staging of the same copy.
        with contextlib.suppress(OSError):
            os.rmdir(self._options.folder)

    def run(self):
        """Stage the image; ends when an attempt was approved or none is left.

        Never raises: the outcome is what the followers see.
        """
        failures = {}
        try:
            self._attempt_all(list(self._sources), failures)
        except errors.CopyError as exc:
            self._fail(exc)
        except Exception as exc:
            LOG.exception('Staging failed unexpectedly')
            self._fail(errors.StagingError(f'{type(exc).__name__}: {exc}'))

    # Internals.

    def _attempt_all(self, sources, failures):
        """Make attempts until one is good; raise if none is.

        :param failures: ``{store: error}``, filled
        """
        while sources:
            spool = self._begin_attempt()
            try:
                self._fill_patiently(spool, sources, failures)
                self._succeed(spool)
                return
            except errors.SourceHangs as exc:
                failures[exc.store] = exc
                LOG.warning('Discarding what was staged: %s', exc)
                spool.abandon(exc)
                sources = [s for s in sources if s.store != exc.store]
            except errors.SourceMismatch as exc:
                failures[exc.store] = exc
                LOG.warning('Discarding what was staged: %s', exc)
                spool.reject(exc)
                if self._options.window:
                    spool.wait_released(self._check)
                # Only the first is given up: a later one may hold the right
                # bytes from the first to the last.
                sources = sources[1:]
            except errors.SourceError as exc:
                # What this one lacks, none of them has.
                failures[exc.store] = exc
                spool.reject(exc)
                break
        raise errors.no_source_left(list(failures.values()))

    def _fill_patiently(self, spool, sources, failures):
        """Fill ``spool`` in a thread that is left behind if it hangs."""
        filler = filling.SpoolFiller(
            spool, sources, self._expected, self._options,
            limit=self._limit, on_bytes=self._on_bytes, failures=failures,
        )
        call = timeouts.TimedCall(
            filler.fill,
            name='copy-image-source',
            idle=filler.idle,
            limit=self._options.timeout,
            cancel=self._cancel,
            on_late=lambda _digests: self._ended_late(spool),
        )
        try:
            self.hexdigests = call.result()
        except timeouts.GaveUp as exc:
            raise errors.SourceHangs(
                exc.reason, store=filler.reading
            ) from None
        finally:
            if call.left_behind:
                with self._changed:
                    self._left_behind.add(spool)

    def _ended_late(self, spool):
        with self._changed:
            self._left_behind.discard(spool)
            if self._closed:
                spool.close()

    def _begin_attempt(self):
        with self._changed:
            self._check()
            attempt = spool.Spool(
                self._options.folder,
                size=self._expected.size,
                cancel=self._cancel,
                followers=self._names,
                memory=self._options.memory,
                window=self._options.window,
                reserve=self._reserve,
            )
            for name in self._left:
                attempt.follower(name).close()
            self._attempts.append(attempt)
            self._changed.notify_all()
            return attempt

    def _attempt(self, index):
        with self._changed:
            while len(self._attempts) <= index:
                self._check()
                if self.failure is not None:
                    raise self.failure
                if self._done:
                    raise errors.StagingError('there is no further attempt')
                self._changed.wait()
            return self._attempts[index]

    def _leave(self, name):
        """Nothing is kept for ``name`` any more, in no attempt."""
        with self._changed:
            self._left.add(name)
            for attempt in self._attempts:
                attempt.follower(name).close()

    def _succeed(self, spool):
        with self._changed:
            self._done = True
            self._changed.notify_all()
        spool.approve(self.hexdigests)

    def _fail(self, error):
        with self._changed:
            self.failure = error
            for attempt in self._attempts:
                if not attempt.error:
                    attempt.reject(error)
            self._changed.notify_all()

    def _check(self):
        self._cancel.check()

    def _wake(self):
        with self._changed:
            self._changed.notify_all()
