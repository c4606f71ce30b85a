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

"""Bringing the image into one store, and taking it out again."""

import dataclasses

import glance.db
from glance_store import exceptions as store_exceptions
from oslo_log import log as logging
import tenacity

from glance_copy_plugin import stores as stores_
from glance_copy_plugin.copiers import base
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import reader as reader_

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it went for one store.

    :param stored: :class:`StoredObject` if the store holds the image now
    :param error: the reason if this store failed; None also for a store that
        was only stopped because something else failed
    """

    store: str
    stored: base.StoredObject | None = None
    error: errors.CopyError | None = None


class StoreImport:
    """One store's part of a copy.

    :param run: :class:`CopyRun`
    :param store: name of the store
    """

    def __init__(self, run, store):
        self._run = run
        self._store = store

    def execute(self):
        """Copy the image into the store and record it; never raises.

        :returns: :class:`Outcome`
        """
        run = self._run
        try:
            run.store_slots.acquire(run.cancel)
            try:
                return self._execute()
            finally:
                run.store_slots.release()
        except Exception as exc:
            return self._failed(exc)

    def take_back(self, stored):
        """Remove what :meth:`execute` recorded and wrote; never raises."""
        try:
            self._run.record.remove_location(self._store, stored.url)
        except image_record.ImageGone:
            LOG.debug('No location to take back: the image is gone')
        except Exception:
            LOG.exception(
                'The location of image %(image)s in store %(store)s could '
                'not be taken back, so its data stays',
                {'image': self._run.image_id, 'store': self._store},
            )
            return
        self._discard(stored.url)

    # Internals.

    def _execute(self):
        run = self._run
        run.cancel.check()
        self._notify(lambda: run.notifications.prepare(self._store))
        run.progress.copied(self._store, 0)
        stored = self._write()
        try:
            run.record.store_done(self._store, stored.url, stored.metadata)
            self._set_acls(stored)
        except Exception:
            self.take_back(stored)
            raise
        run.progress.ended(self._store, progress.DONE)
        self._notify(run.notifications.upload)
        LOG.info(
            'Image %(image)s was copied to store %(store)s',
            {'image': run.image_id, 'store': self._store},
        )
        return Outcome(store=self._store, stored=stored)

    def _failed(self, exc):
        run = self._run
        stopped = exc is run.cancel.error and not isinstance(
            exc, (errors.SourceError, errors.StagingError)
        )
        if stopped:
            return Outcome(store=self._store)
        if not isinstance(exc, errors.CopyError):
            LOG.exception('Unexpected error while copying an image')
            exc = errors.TargetError(
                stores_.reason(exc), store=self._store
            )
        LOG.error(
            'Image %(image)s was not copied to store %(store)s: %(why)s',
            {'image': run.image_id, 'store': self._store, 'why': exc},
        )
        run.progress.ended(self._store, progress.FAILED)
        if run.all_must_succeed or isinstance(exc, errors.RecordsError):
            run.cancel.cancel(exc)
        try:
            run.record.store_failed(self._store)
        except errors.RecordsError as gone:
            LOG.debug('The failure of a store is not recorded: %s', gone)
        self._notify(
            lambda: run.notifications.upload_failed(run.image_id, exc)
        )
        return Outcome(store=self._store, error=exc)

    def _write(self):
        copier = self._run.plan.copiers[self._store]
        if copier is None:
            return self._stream(self._run.staging_of(self._store))
        try:
            return self._copy(copier)
        except base.CannotServerCopy as exc:
            LOG.info(
                'Streaming to store %(store)s instead of copying: %(why)s',
                {'store': self._store, 'why': errors.redact(exc)},
            )
        return self._stream(self._run.stage_alone(self._store))

    def _copy(self, copier):
        """Copy by means of the storage."""
        if not copier.needs_staging:
            return copier.copy(self._request(None))
        attempts = self._run.staging_of(self._store).attempts(self._store)
        for follower in attempts:
            try:
                return copier.copy(self._request(follower))
            except errors.SourceError as exc:
                LOG.debug('Waiting for another source after: %s', exc)
        raise AssertionError('attempts() ends by raising')

    def _request(self, follower):
        run = self._run
        return base.CopyRequest(
            image_id=run.image_id,
            size=run.plan.size,
            expected=run.plan.expected,
            locations=run.plan.locations,
            target=run.target(self._store),
            follower=follower,
            verify=run.options.verify,
            cancel=run.cancel,
            on_bytes=self._on_bytes,
        )

    def _stream(self, staging):
        """Copy through the store's driver."""
        for follower in staging.attempts(self._store):
            reader = reader_.StagedReader(follower, self._on_bytes)
            try:
                return self._add(reader, staging)
            except errors.SourceError as exc:
                LOG.debug('Waiting for another source after: %s', exc)
        raise AssertionError('attempts() ends by raising')

    def _add(self, reader, staging):
        run = self._run
        algorithm = digests.cheapest_algorithm()
        try:
            url, size, checksum, digest, metadata = self._call_driver(
                reader, algorithm
            )
        except Exception as exc:
            # A driver wraps what the reader raised; the reader knows better.
            if reader.error is not None:
                raise reader.error from exc
            raise errors.TargetError(
                stores_.reason(exc), store=self._store
            ) from exc
        try:
            self._check_added(reader)
            if (
                size != run.plan.size
                or digest != staging.hexdigests[algorithm]
                or (run.plan.checksum and checksum != run.plan.checksum)
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

    def _call_driver(self, reader, algorithm):
        run = self._run

        def add():
            return stores_.add(
                self._store, run.image_id, reader, run.plan.size, algorithm,
                run.context,
            )

        try:
            return add()
        except store_exceptions.Duplicate:
            # Refused before anything was read. What is there belongs to no
            # location: a crash left it.
            url = stores_.orphan_url(
                run.target(self._store), run.image_id, run.plan.size,
                run.plan.locations,
            )
            if url is None:
                raise
            LOG.warning(
                'Replacing an object of image %(image)s in store %(store)s '
                'that no location names',
                {'image': run.image_id, 'store': self._store},
            )
            stores_.delete(self._store, url, run.context)
            return add()

    def _check_added(self, reader):
        if reader.error is not None:
            raise reader.error
        if not reader.finished:
            raise errors.TargetError(
                'the driver stopped before the end of the image',
                store=self._store,
            )

    def _set_acls(self, stored):
        run = self._run
        image = run.record.domain_image()
        members = [
            member['member'] for member in glance.db.get_api()
            .image_member_find(run.context, image_id=run.image_id)
        ]
        stores_.set_acls(
            self._store, stored.url, image, members, run.context
        )

    def _discard(self, url):
        """Remove an object, unless the image refers to it; never raises."""
        run = self._run
        try:
            if url in _recorded_urls(run.record):
                LOG.warning(
                    'Not removing data of image %(image)s in store %(store)s:'
                    ' a location refers to it',
                    {'image': run.image_id, 'store': self._store},
                )
                return
            tenacity.Retrying(
                stop=tenacity.stop_after_attempt(3),
                wait=tenacity.wait_random_exponential(max=2),
                reraise=True,
            )(stores_.delete, self._store, url, run.context)
        except Exception as exc:
            LOG.error(
                'Data of image %(image)s stays behind in store %(store)s: '
                '%(why)s',
                {
                    'image': run.image_id, 'store': self._store,
                    'why': errors.redact(exc),
                },
            )

    def _on_bytes(self, count):
        self._run.cancel.check()
        self._run.progress.copied(self._store, count)

    def _notify(self, send):
        """Send a notification about what is a fact already."""
        try:
            send()
        except Exception as exc:
            LOG.warning('A notification was not sent: %s', errors.redact(exc))


def _recorded_urls(record):
    try:
        return {location.url for location in record.facts().locations}
    except image_record.ImageGone:
        return set()
