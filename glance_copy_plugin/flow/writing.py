# SPDX-License-Identifier: Apache-2.0

"""Getting the image's bytes into one store: by a copier, or streamed."""

import contextlib

from glance_store import exceptions as store_exceptions
from oslo_log import log as logging

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import stores as stores_
from glance_copy_plugin.flow import store_calls
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import reader as reader_
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
        copier = self._run.plan.copiers[self._store]
        if copier is not None:
            try:
                return self._copy(copier)
            except base.CannotServerCopy as exc:
                LOG.info(
                    'Streaming to store %(store)s instead of copying: '
                    '%(why)s',
                    {'store': self._store, 'why': errors.redact(exc)},
                )
                return self._stream(self._run.stage_alone(self._store))
        return self._stream(self._staging())

    def _staging(self):
        """Return the Staging to follow, which may have to be a new one."""
        staging = self._run.staging_of(self._store)
        again, self._written_before = self._written_before, True
        if again and not staging.follow_again(self._store):
            return self._run.stage_alone(self._store)
        return staging

    def _copy(self, copier):
        if copier.needs_staging:
            return self._until_source_is_good(
                self._staging(),
                lambda follower: self._call_copier(copier, follower),
            )
        return self._call_copier(copier, None)

    def _stream(self, staging):
        return self._until_source_is_good(
            staging, lambda follower: self._add(follower, staging)
        )

    def _until_source_is_good(self, staging, write):
        """Write each attempt at staging, until one is the image."""
        with contextlib.closing(staging.attempts(self._store)) as attempts:
            for follower in attempts:
                try:
                    return write(follower)
                except errors.SourceError as exc:
                    LOG.debug('Waiting for another source after: %s', exc)
        raise AssertionError('attempts() ends by raising')

    def _call_copier(self, copier, follower):
        idle = follower.idle if follower else timeouts.IdleTimer()
        self._counted.restart()

        def copy(token):
            return self._replacing_orphans(
                lambda: copier.copy(self._request(follower, token, idle))
            )

        try:
            return self._patiently(copy, idle, lambda stored: stored.url)
        except (errors.CopyError, base.CannotServerCopy):
            raise
        except Exception as exc:
            raise stores_.target_error(exc, self._store) from exc

    def _request(self, follower, token, idle):
        def on_bytes(count):
            idle.asked()
            self._on_bytes(count)

        run = self._run
        return base.CopyRequest(
            image_id=run.image_id,
            size=run.plan.size,
            expected=run.plan.expected,
            locations=run.plan.locations,
            target=run.target(self._store),
            follower=follower,
            verify=run.options.verify,
            cancel=token,
            on_bytes=on_bytes,
        )

    def _add(self, follower, staging):
        reader = reader_.StagedReader(follower, self._on_bytes)
        self._counted.restart()
        algorithm = digests.cheapest_algorithm()
        try:
            added = self._patiently(
                lambda token: self._call_driver(reader, algorithm),
                follower.idle, lambda added: added[0],
            )
        except errors.TargetHangs:
            raise
        except Exception as exc:
            # A driver wraps what the reader raised; the reader knows better.
            if reader.error is not None:
                raise reader.error from exc
            self._run.cancel.check()
            raise stores_.target_error(exc, self._store) from exc
        url, size, checksum, digest, metadata = added
        try:
            self._check_read(reader)
            plan = self._run.plan
            if (
                size != plan.size
                or digest != staging.hexdigests[algorithm]
                or (plan.checksum and checksum != plan.checksum)
            ):
                raise errors.TargetError(
                    'the driver says that it has written something else than '
                    'the image', store=self._store,
                )
        except errors.CopyError:
            self._discard(url)
            raise
        return base.StoredObject(
            url=url, metadata=dict(metadata or {}, store=self._store)
        )

    def _patiently(self, function, idle, url_of):
        """Call into the store; remove what it has stored too late.

        :param url_of: gives the URL of what ``function`` returns
        """
        return store_calls.call_store(
            self._run, self._store, function, idle=idle,
            cancel=self._run.cancel,
            on_late=lambda result: self._discard(url_of(result)),
        )

    def _call_driver(self, reader, algorithm):
        run = self._run
        return self._replacing_orphans(lambda: stores_.add(
            self._store, run.image_id, reader, run.plan.size, algorithm,
            run.context,
        ), reader)

    def _replacing_orphans(self, add, reader=None):
        """Call ``add``; remove what is in its way and no location names."""
        run = self._run
        try:
            return add()
        except store_exceptions.Duplicate:
            if reader is not None and reader.begun:
                # It appeared meanwhile, and what was read is not read again.
                raise
            # What is there belongs to no location: a crash left it.
            url = stores_.orphan_url(
                run.target(self._store), run.image_id, run.plan.locations
            )
            if url is None:
                raise
            if unsafe := run.not_safe():
                raise errors.TargetError(
                    'an object of the image is in its way that no location '
                    f'names, and that may be its last data: {unsafe}',
                    store=self._store,
                ) from None
            run.confirm()
            LOG.warning(
                'Replacing an object of image %(image)s in store %(store)s '
                'that no location names',
                {'image': run.image_id, 'store': self._store},
            )
            stores_.delete(self._store, url, run.context)
            return add()

    def _check_read(self, reader):
        """A driver may take an error of its source for the end of data."""
        if reader.error is not None:
            raise reader.error
        if not reader.finished:
            raise errors.TargetError(
                'the driver stopped before the end of the image',
                store=self._store,
            )

    def _on_bytes(self, count):
        self._run.cancel.check()
        self._run.progress.copied(self._store, count)
        self._counted.reached(count)
