# SPDX-License-Identifier: Apache-2.0

"""Filling a spool with the image's bytes, from whichever source has them."""

import logging
import os

from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import sources
from glance_copy_plugin.transfer import timeouts

LOG = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024


class SpoolFiller:
    """Fills one spool, in one thread.

    :param spool: empty :class:`Spool`
    :param sources: :class:`Source` objects, best first
    :param expected: :class:`Expected`, what the image's record says
    :param options: :class:`StagingOptions`
    :param limit: :class:`BandwidthLimit`
    :param on_bytes: called with the number of bytes in the spool
    :param failures: ``{store: error}`` of sources left half-way; filled

    ``reading`` is the store that is read, ``idle`` its :class:`IdleTimer`.
    """

    def __init__(
        self, spool, sources, expected, options, *, limit, on_bytes, failures
    ):
        self.idle = timeouts.IdleTimer()
        self.reading = None
        self._spool = spool
        self._usable = list(sources)
        self._expected = expected
        self._options = options
        self._limit = limit
        self._on_bytes = on_bytes
        self._failures = failures
        self._used = {}
        self._token = None
        self._hasher = digests.Digests(
            {*expected.algorithms, *options.algorithms}
        )

    def fill(self, token):
        """Fill the spool with the image.

        :param token: :class:`CancelToken` that says when to stop
        :returns: ``{algorithm: hex digest}`` of what is in the spool
        :raises: :class:`SourceMismatch` if what was read is not the image,
            another :class:`SourceError` if no source can be read to the end
        """
        self._token = token
        while self._spool.position < self._expected.size or not self._used:
            before = self._spool.position
            try:
                self._try_sources(before)
            except errors.SourceError as exc:
                if not self._got_further(exc, before):
                    raise
                LOG.warning('Reading goes on after: %s', exc)
                instrumentation.observer().retried(instrumentation.READING)
                token.wait(self._options.retry_interval)
        token.check()
        hexdigests = self._hasher.hexdigests()
        self._expected.check(hexdigests, store=', '.join(self._used))
        return hexdigests

    def _try_sources(self, start):
        """Read on from ``start``, again until that gets further."""
        timeouts.tried_again(
            self._read_any,
            tries=self._options.retries,
            first_pause=self._options.retry_interval,
            pause=self._token.wait,
            worth_it=lambda exc: (
                isinstance(exc, errors.SourceError) and exc.retryable
                and not self._got_further(exc, start)
            ),
            on_retry=self._say_again,
        )

    @staticmethod
    def _say_again(error):
        LOG.warning('Trying again: %s', error)
        instrumentation.observer().retried(instrumentation.READING)

    def _got_further(self, exc, start):
        """True if reading got further, so that it gets to the end at last."""
        return exc.retryable and self._spool.position - start >= CHUNK_BYTES

    def _read_any(self):
        """Read to the end, each source going on where the last one failed.

        :raises: :class:`SourceError` if no source gets there
        """
        failed = []
        for source in list(self._usable):
            try:
                self._read(source)
                return
            except errors.SourceMismatch:
                raise
            except errors.SourceError as exc:
                LOG.warning(
                    'Reading stopped at byte %(at)d: %(why)s',
                    {'at': self._spool.position, 'why': exc},
                )
                failed.append(exc)
                self._failures[exc.store] = exc
                if not exc.retryable:
                    self._usable.remove(source)
        raise next((exc for exc in failed if exc.retryable), failed[-1])

    def _read(self, source):
        """Read ``source`` from the spool's position to the image's end."""
        self.reading = source.store
        self._used[source.store] = True
        self.idle.asked()
        try:
            path = source.local_file()
            if path is not None:
                self._read_in_place(path, source)
            else:
                self._read_stream(source)
        except errors.CopyError:
            raise
        except Exception as exc:
            raise errors.source_error(
                exc, f'cannot be read: {_reason(exc)}', store=source.store
            ) from exc
        finally:
            self.idle.answered()
        self._check_size(source, path is not None)

    def _check_size(self, source, is_file):
        if self._spool.position == self._expected.size:
            return
        # A file ends where it ends; a connection may have been cut.
        kind = errors.SourceGone if is_file else errors.SourceError
        raise kind(
            f'ends at byte {self._spool.position}, the image has '
            f'{self._expected.size}', store=source.store,
        )

    def _read_in_place(self, path, source):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        actual = os.fstat(fd).st_size
        self._spool.borrow(fd)
        if actual > self._expected.size:
            raise self._too_long(source)
        buffer = bytearray(self._limit.chunk(CHUNK_BYTES))
        view = memoryview(buffer)
        while count := os.preadv(fd, [buffer], self._spool.position):
            self._account(
                self._spool.advance, count, view[:count], source
            )

    def _read_stream(self, source):
        chunk_size = self._limit.chunk(CHUNK_BYTES)
        chunks = source.read_from(self._spool.position)
        try:
            for chunk in sources.rechunk(chunks, chunk_size):
                self._account(self._spool.write, chunk, chunk, source)
        finally:
            close = getattr(chunks, 'close', None)
            if close:
                close()

    def _account(self, hand_over, what, data, source):
        """Take ``data`` from the source into the spool."""
        self.idle.answered()
        self._token.check()
        if self._spool.position + len(data) > self._expected.size:
            raise self._too_long(source)
        self._hasher.update(data)
        self._limit.consume(len(data))
        hand_over(what)
        self._on_bytes(self._spool.position)
        self.idle.asked()

    def _too_long(self, source):
        return errors.SourceMismatch(
            f'holds more than the {self._expected.size} bytes of the image',
            store=source.store,
        )


def _reason(exc):
    return getattr(exc, 'strerror', None) or str(exc) or type(exc).__name__
