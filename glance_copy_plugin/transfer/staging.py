# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Reading an image once, checking it, and offering it to its followers."""

import contextlib
import dataclasses
import logging
import os
import threading

from glance_copy_plugin.transfer import debug
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import sources as sources_
from glance_copy_plugin.transfer import spool as spool_

LOG = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
_STOP_SECONDS = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagingOptions:
    """How to stage.

    :param folder: directory of this copy within the staging area
    :param window: most bytes to hold there at once, or None
    :param borrow: read a source that is a local file in place
    :param algorithms: hashes to compute beside the image's own
    """

    folder: str
    window: int | None = None
    borrow: bool = True
    algorithms: tuple = ()


class Staging:
    """Stages one image for a group of followers, in a thread of its own.

    Every *attempt* has a spool of its own. A source that fails half-way is
    continued from the next one at the same offset. Bytes that turn out wrong
    end the attempt: its followers get an error, and the next attempt begins
    with the next source. Followers therefore loop over :meth:`attempts`.

    :param sources: :class:`Source` objects, best first
    :param expected: :class:`Expected`, what the image's record says
    :param followers: names of those who will follow
    :param options: :class:`StagingOptions`
    :param limit: :class:`BandwidthLimit`
    :param cancel: the copy's :class:`CancelToken`
    :param on_bytes: called with the number of bytes staged so far
    """

    def __init__(
        self, sources, expected, followers, *, options, limit, cancel,
        on_bytes=None,
    ):
        self._sources = list(sources)
        self._expected = expected
        self._names = tuple(followers)
        self._options = options
        self._limit = limit
        self._cancel = cancel
        self._on_bytes = on_bytes or (lambda count: None)
        self._changed = threading.Condition()
        self._attempts = []
        self._left = set()
        self._closed = False
        self._done = False
        self._thread = None
        self.failure = None
        self.hexdigests = {}
        cancel.on_cancel(self._wake)

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
        with self._changed:
            self._closed = True
            for attempt in self._attempts:
                attempt.abandon(errors.StagingError('staging was closed'))
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        for attempt in self._attempts:
            if self._thread is not None and self._thread.is_alive():
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
            # Also after a mixed attempt only its first source is given up: a
            # later one may hold the right bytes from the first to the last.
            for first in range(len(self._sources)):
                spool = self._begin_attempt()
                try:
                    self._fill(spool, self._sources[first:], failures)
                    self._succeed(spool)
                    return
                except errors.SourceError as exc:
                    LOG.warning('Staged data is rejected: %s', exc)
                    failures[exc.store] = exc
                    spool.reject(exc)
                    if self._options.window:
                        spool.wait_released(self._check)
            self._fail(_no_source_left(list(failures.values())))
        except errors.CopyError as exc:
            self._fail(exc)
        except Exception as exc:
            LOG.exception('Staging failed unexpectedly')
            self._fail(errors.StagingError(f'{type(exc).__name__}: {exc}'))
        finally:
            if self._closed:
                # Nobody waited for this thread: it tidies up by itself.
                for attempt in self._attempts:
                    attempt.close()

    # Internals.

    def _fill(self, spool, sources, failures):
        """Fill ``spool`` from ``sources``; raise SourceError if impossible.

        :param failures: ``{store: error}`` of sources left half-way, filled
        """
        hasher = digests.Digests(
            {*self._expected.algorithms, *self._options.algorithms}
        )
        used = []
        for source in sources:
            used.append(source.store)
            try:
                self._read(source, spool, hasher)
                break
            except errors.SourceMismatch:
                raise
            except errors.SourceError as exc:
                if source is sources[-1]:
                    raise
                LOG.warning(
                    'Reading goes on elsewhere at byte %(at)d: %(why)s',
                    {'at': spool.position, 'why': exc},
                )
                failures[exc.store] = exc
        debug.point('stage-complete')
        self.hexdigests = hasher.hexdigests()
        self._expected.check(self.hexdigests, store=', '.join(used))

    def _read(self, source, spool, hasher):
        """Read ``source`` from the spool's position to the image's end."""
        path = source.local_file() if self._options.borrow else None
        try:
            if path is not None:
                self._read_in_place(path, source, spool, hasher)
            else:
                self._read_stream(source, spool, hasher)
        except errors.CopyError:
            raise
        except Exception as exc:
            raise errors.SourceError(
                f'cannot be read: {_reason(exc)}', store=source.store
            ) from exc
        if spool.position < self._expected.size:
            raise errors.SourceError(
                f'ends at byte {spool.position}, the image has '
                f'{self._expected.size}', store=source.store,
            )

    def _read_in_place(self, path, source, spool, hasher):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        actual = os.fstat(fd).st_size
        spool.borrow(fd)
        if actual > self._expected.size:
            raise self._too_long(source)
        chunk_size = self._limit.chunk(CHUNK_BYTES)
        buffer = bytearray(chunk_size)
        view = memoryview(buffer)
        while count := os.preadv(fd, [buffer], spool.position):
            if spool.position + count > self._expected.size:
                raise self._too_long(source)
            hasher.update(view[:count])
            self._account(spool.advance, count, count, spool)

    def _read_stream(self, source, spool, hasher):
        chunk_size = self._limit.chunk(CHUNK_BYTES)
        chunks = source.read_from(spool.position)
        try:
            for chunk in sources_.rechunk(chunks, chunk_size):
                if spool.position + len(chunk) > self._expected.size:
                    raise self._too_long(source)
                hasher.update(chunk)
                self._account(spool.write, chunk, len(chunk), spool)
        finally:
            close = getattr(chunks, 'close', None)
            if close:
                close()

    def _account(self, hand_over, what, count, spool):
        debug.point('stage-read')
        self._check()
        self._limit.consume(count)
        hand_over(what)
        self._on_bytes(spool.position)

    def _too_long(self, source):
        return errors.SourceMismatch(
            f'holds more than the {self._expected.size} bytes of the image',
            store=source.store,
        )

    def _begin_attempt(self):
        with self._changed:
            self._check()
            spool = spool_.Spool(
                self._options.folder,
                size=self._expected.size,
                cancel=self._cancel,
                followers=self._names,
                window=self._options.window,
            )
            for name in self._left:
                spool.follower(name).close()
            self._attempts.append(spool)
            self._changed.notify_all()
            return spool

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
        spool.approve()
        debug.point('stage-approved')

    def _fail(self, error):
        with self._changed:
            self.failure = error
            for attempt in self._attempts:
                if not attempt.error:
                    attempt.reject(error)
            self._changed.notify_all()

    def _check(self):
        self._cancel.check()
        if self._closed:
            raise errors.StagingError('staging was closed')

    def _wake(self):
        with self._changed:
            self._changed.notify_all()


def _reason(exc):
    return getattr(exc, 'strerror', None) or str(exc) or type(exc).__name__


def _no_source_left(failures):
    if not failures:
        return errors.SourceError('no location of the image can be read')
    if len(failures) == 1:
        return failures[0]
    return errors.SourceError(
        'no location of the image is usable: '
        + '; '.join(f'{f.store}: {f.reason}' for f in failures)
    )
