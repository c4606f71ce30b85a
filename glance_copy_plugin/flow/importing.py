# SPDX-License-Identifier: Apache-2.0

"""Bringing the image into one store, and taking it out again."""

import dataclasses

from oslo_log import log as logging
import tenacity

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import writing
from glance_copy_plugin.reconcile import late_saves
from glance_copy_plugin.reconcile import objects
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation
from glance_copy_plugin.transfer import progress
from glance_copy_plugin.transfer import timeouts

LOG = logging.getLogger(__name__)

# No more requests of users than that come between at just that moment.
_TAKING_BACK = 5


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

    def take_back_all(self):
        """Remove what any process has written for this copy; never raises."""
        try:
            done = self._recorded()
        except Exception as exc:
            self._say_left_behind(exc)
            return
        if done is not None:
            self.take_back(done)
        self.remove_unrecorded()

    def remove_unrecorded(self):
        """Remove what any process has written but not recorded.

        Never raises.
        """
        run = self._run
        try:
            run.confirm()
            self._remove_partial()
            locations = self._locations()
            url = self._call(lambda _token: registry.orphan_url(
                self._store, run.copy.image_id, locations
            ))
            if url is None:
                return
            if why := run.objects.why_needed(lambda each: each == url):
                raise errors.TargetError(why, store=self._store)
            self._discard(url)
        except Exception as exc:
            self._say_left_behind(exc)

    def take_back(self, stored):
        """Remove what :meth:`execute` recorded and wrote; never raises."""
        for _ in range(_TAKING_BACK):
            if not self._unrecord(stored):
                return
            # A late save of an older record may have brought it back.
            if self._discard(stored.url):
                break

    # Internals.

    def _unrecord(self, stored):
        """Remove the location of an object; False if that has to stay."""
        try:
            self._run.record.remove_location(self._store, stored.url)
        except image_record.ImageGone:
            LOG.debug('No location to take back: the image is gone')
        except errors.LeaseLost:
            late_saves.discard_later(
                self._run.record, self._run.copy.context, self._store,
                stored.url,
            )
            return False
        except Exception:
            LOG.exception(
                'The location of image %(image)s in store %(store)s could '
                'not be taken back, so its data stays',
                {'image': self._run.copy.image_id, 'store': self._store},
            )
            return False
        return True

    def _execute(self):
        run = self._run
        run.cancel.check()
        if run.copy.resumed:
            run.confirm()
            self._remove_partial()
            done = self._recorded()
            if done is not None:
                run.record.store_done(self._store, done.url, done.metadata)
                run.progress.ended(self._store, progress.DONE)
                return Outcome(store=self._store, stored=done)
        self._notify(lambda: run.notifications.prepare(self._store))
        run.progress.copied(self._store, 0)
        stored = self._write()
        try:
            run.record.store_done(
                self._store, stored.url, stored.metadata,
                run.staging.known_of(self._store),
            )
            self._set_acls(stored)
        except Exception:
            self.take_back(stored)
            raise
        run.progress.ended(self._store, progress.DONE)
        self._notify(lambda: run.notifications.upload(self._store))
        LOG.info(
            'Image %(image)s was copied to store %(store)s',
            {'image': run.copy.image_id, 'store': self._store},
        )
        return Outcome(store=self._store, stored=stored)

    def _write(self):
        run = self._run
        return timeouts.tried_again(
            writing.StoreWriter(run, self._store, self._discard).write,
            tries=run.copy.options.retries,
            first_pause=run.copy.options.retry_interval,
            pause=run.cancel.wait,
            worth_it=lambda exc: (
                isinstance(exc, errors.TargetError) and exc.retryable
            ),
            on_retry=self._say_again,
        )

    def _say_again(self, error):
        LOG.warning(
            'Trying again to copy image %(image)s: %(why)s',
            {'image': self._run.copy.image_id, 'why': error},
        )
        instrumentation.observer().retried(instrumentation.WRITING)

    def _call(self, function):
        """Call into the store, also when the copy is stopped."""
        return self._run.calls.call(self._store, function)

    def _remove_partial(self):
        left = self._call(lambda _token: registry.remove_partial(
            self._store, self._run.copy.image_id
        ))
        if left:
            late_saves.remove_later(self._store, left)

    def _recorded(self):
        """Return what another process has recorded for this store."""
        for location in self._facts_locations():
            if location.store == self._store:
                return base.StoredObject(
                    url=location.url, metadata=location.metadata
                )
        return None

    def _locations(self):
        return drivers.readable(self._facts_locations())

    def _facts_locations(self):
        try:
            return self._run.record.facts().locations
        except image_record.ImageGone:
            return ()

    def _failed(self, exc):
        run = self._run
        if self._lost():
            # It may have failed because of what the next process does.
            return Outcome(store=self._store)
        if isinstance(exc, (errors.RecordsError, errors.Cancelled)):
            # Nothing that any store could do about it.
            run.cancel.cancel(exc)
            return Outcome(store=self._store)
        if run.suspended or (
            exc is run.cancel.error and isinstance(exc, errors.TargetError)
        ):
            return Outcome(store=self._store)
        if not isinstance(exc, errors.CopyError):
            LOG.exception('Unexpected error while copying an image')
            exc = errors.TargetError(
                driver_errors.reason(exc), store=self._store
            )
        LOG.error(
            'Image %(image)s was not copied to store %(store)s: %(why)s',
            {'image': run.copy.image_id, 'store': self._store, 'why': exc},
        )
        run.progress.ended(self._store, progress.FAILED)
        if run.copy.all_must_succeed:
            run.cancel.cancel(exc)
        try:
            run.record.store_failed(self._store)
        except errors.RecordsError as gone:
            LOG.debug('The failure of a store is not recorded: %s', gone)
        except Exception:
            # Said again when the copy ends.
            LOG.exception('The failure of a store could not be recorded')
        self._notify(
            lambda: run.notifications.upload_failed(run.copy.image_id, exc)
        )
        return Outcome(store=self._store, error=exc)

    def _lost(self):
        """True if another process may carry the copy on.

        Then nothing is stopped: a driver that is stopped half-way removes
        what it writes by its name, which may be another process's by now.
        """
        try:
            self._run.confirm()
        except errors.LeaseLost:
            return True
        except Exception as exc:
            LOG.warning(
                'Cannot tell whether another process has the copy of image '
                '%(image)s: %(why)s',
                {'image': self._run.copy.image_id, 'why': errors.redact(exc)},
            )
        return False

    def _set_acls(self, stored):
        run = self._run

        def read_access():
            visibility = run.record.domain_image().visibility
            return visibility in ('public', 'community'), run.record.members()

        drivers.set_acls(
            run.plan.targets[self._store], stored.url, read_access,
            run.copy.context,
        )

    def _discard(self, url):
        """Remove an object; never raises.

        :returns: False if it stays because the image refers to it
        """
        run = self._run
        try:
            run.confirm()
            if run.objects.why_needed(
                lambda each: each == url, fresh=True
            ) == objects.NAMED:
                LOG.warning(
                    'Not removing data of image %(image)s in store %(store)s:'
                    ' a location refers to it',
                    {'image': run.copy.image_id, 'store': self._store},
                )
                return False
            tenacity.Retrying(
                retry=tenacity.retry_if_not_exception_type(
                    errors.TargetHangs
                ),
                stop=tenacity.stop_after_attempt(3),
                wait=tenacity.wait_random_exponential(max=2),
                reraise=True,
            )(self._delete, url)
        except errors.LeaseLost:
            late_saves.discard_later(
                run.record, run.copy.context, self._store, url
            )
        except Exception as exc:
            LOG.error(
                'Data of image %(image)s stays behind in store %(store)s: '
                '%(why)s',
                {
                    'image': run.copy.image_id, 'store': self._store,
                    'why': errors.redact(exc),
                },
            )
        return True

    def _delete(self, url):
        self._call(lambda _token: drivers.delete(
            self._store, url, self._run.copy.context
        ))

    def _say_left_behind(self, exc):
        LOG.error(
            'Cannot remove what an interrupted copy of image %(image)s left '
            'in store %(store)s: %(why)s',
            {
                'image': self._run.copy.image_id, 'store': self._store,
                'why': errors.redact(exc),
            },
        )

    def _notify(self, send):
        """Send a notification about what is a fact already."""
        try:
            send()
        except Exception as exc:
            LOG.warning('A notification was not sent: %s', errors.redact(exc))
