# SPDX-License-Identifier: Apache-2.0

"""Getting the image's bytes into one store: server-side, or staged."""

import contextlib
import functools

from glance_store import exceptions as store_exceptions
from oslo_log import log as logging

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import limits
from glance_copy_plugin.transfer import timeouts

LOG = logging.getLogger(__name__)


class StoreWriter:
    """Writes the image of ``run`` into ``store``.

    On any error nothing of it stays in the store.

    :param run: :class:`CopyRun`, with its plan made
    :param discard: called with the URL of an object that has to go again
    """

    def __init__(self, run, store, discard):
        self._run = run
        self._store = store
        self._discard = discard
        self._written_before = False
        self._counted = instrumentation.Counted(store)

    def write(self):
        """Return the :class:`StoredObject`; raise a :class:`CopyError`.

        May be called again after an error.
        """
        copier = self._run.plan.copiers.get(self._store)
        if copier is None:
            return self._write_staged(self._staging())
        try:
            return self._call(
                lambda token, idle: copier.copy(
                    base.CopyRequest(**self._asked(token, idle))
                ), timeouts.IdleTimer(),
            )
        except base.CannotServerCopy as exc:
            LOG.info(
                'Streaming to store %(store)s instead of copying: %(why)s',
                {'store': self._store, 'why': errors.redact(exc)},
            )
            return self._write_staged(
                self._run.staging.start((self._store,))
            )

    def _staging(self):
        """Return the Staging to follow, which may have to be a new one."""
        staging = self._run.staging.of(self._store)
        again, self._written_before = self._written_before, True
        return self._run.staging.start((self._store,)) if again else staging

    def _write_staged(self, staging):
        """Write each attempt at staging, until one is the image."""
        writer = self._run.plan.writers[self._store]
        with contextlib.closing(staging.attempts(self._store)) as attempts:
            for follower in attempts:
                try:
                    return self._call(
                        functools.partial(self._write_from, writer, follower),
                        follower.idle, follower,
                    )
                except errors.SourceError as exc:
                    LOG.debug('Waiting for another source after: %s', exc)
        raise AssertionError('attempts() ends by raising')

    def _write_from(self, writer, follower, token, idle):
        asked = self._asked(token, idle)
        return writer.write(base.WriteRequest(
            **{**asked, 'on_bytes': self._limited(asked['on_bytes'], token)},
            follower=follower,
            checksum=self._run.plan.checksum,
            context=self._run.copy.context,
            discard=self._discard,
        ))

    def _limited(self, on_bytes, token):
        """Return ``on_bytes``, waiting as the limit of the store says."""
        options = self._run.copy.options
        limit = limits.BandwidthLimit(
            options.store_bandwidth_limits.get(self._store), token
        )
        passed = 0

        def limited(count):
            nonlocal passed
            limit.consume(max(count - passed, 0))
            passed = max(count, passed)
            on_bytes(count)

        return limited

    def _asked(self, token, idle):
        """Return what each way of copying is asked for."""
        def on_bytes(count):
            idle.asked()
            self._on_bytes(count)

        run = self._run
        return {
            'image_id': run.copy.image_id,
            'size': run.plan.size,
            'expected': run.plan.expected,
            'locations': run.plan.locations,
            'target': run.plan.targets[self._store],
            'verify': run.copy.options.verify,
            'cancel': token,
            'on_bytes': on_bytes,
        }

    def _call(self, function, idle, follower=None):
        """Call ``function(token, idle)``; remove what it stores too late."""
        self._counted.restart()
        try:
            return self._run.calls.call(
                self._store,
                lambda token: self._replacing_orphans(
                    lambda: function(token, idle), follower
                ),
                idle=idle, cancel=self._run.cancel,
                on_late=lambda stored: self._discard(stored.url),
            )
        except (errors.CopyError, base.CannotServerCopy):
            raise
        except Exception as exc:
            raise driver_errors.target_error(exc, self._store) from exc

    def _replacing_orphans(self, add, follower):
        """Call ``add``; remove what is in its way and no location names."""
        run = self._run
        try:
            return add()
        except store_exceptions.Duplicate:
            if follower is not None and follower.position:
                # It appeared meanwhile, and what was read is not read again.
                raise
            # What is there belongs to no location: a crash left it.
            url = registry.orphan_url(
                self._store, run.copy.image_id, run.plan.locations
            )
            if url is None:
                raise
            if why := run.objects.why_needed(lambda each: each == url):
                raise errors.TargetError(
                    'an object of the image is in the way and stays, as '
                    f'{why}', store=self._store,
                ) from None
            run.confirm()
            LOG.warning(
                'Replacing an object of image %(image)s in store %(store)s '
                'that no location names',
                {'image': run.copy.image_id, 'store': self._store},
            )
            drivers.delete(self._store, url, run.copy.context)
            return add()

    def _on_bytes(self, count):
        self._run.cancel.check()
        self._run.progress.copied(self._store, count)
        self._counted.reached(count)
