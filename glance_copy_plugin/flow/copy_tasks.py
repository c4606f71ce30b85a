# SPDX-License-Identifier: Apache-2.0

"""The tasks of a copy, in the order in which they run."""

import functools

from oslo_log import log as logging
from taskflow import task

from glance_copy_plugin.backends import registry
from glance_copy_plugin.flow import abort
from glance_copy_plugin.flow import importing
from glance_copy_plugin.flow import planning
from glance_copy_plugin.reconcile import late_saves
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation

LOG = logging.getLogger(__name__)


class _CopyTask(task.Task):
    """A task of the copy ``run``; ``what`` tells it from its like."""

    def __init__(self, run, what='', **kwargs):
        self._run = run
        name = f'{type(self).__name__}-{what}-{run.copy.task_id}'
        super().__init__(name=name.replace('--', '-'), **kwargs)


def _unless_suspended(execute):
    """Let a task of a suspended copy end well, having done nothing.

    Glance would mark a task as failed whose flow does not end well, and this
    one is only to be carried on elsewhere.
    """
    @functools.wraps(execute)
    def wrapper(self, **kwargs):
        if self._run.suspended:
            return
        try:
            execute(self, **kwargs)
        except errors.Suspended:
            LOG.debug('A task ends early: the copy is suspended')
        except errors.LeaseLost:
            LOG.debug('A task ends early: another process has the copy')

    return wrapper


class BeginCopy(_CopyTask):
    """Confirm the lock, announce the stores, wait for a place to run.

    Reverted last, it ends the task with the reason and unlocks the image.
    """

    @_unless_suspended
    def execute(self):
        self._run.record.begin(self._run.copy.stores)
        self._run.start()

    def revert(self, flow_failures, **kwargs):
        abort.end_failed_copy(self._run, flow_failures)


class PlanCopy(_CopyTask):
    """Decide how the image will reach each store."""

    @_unless_suspended
    def execute(self):
        run = self._run
        run.cancel.check()
        run.plan = planning.make_plan(run)
        run.staging.prepare(run.plan)
        run.progress.begin(run.plan.size)
        LOG.info(
            'Copying image %(image)s, %(size)d bytes, from %(sources)s to '
            '%(targets)s',
            {
                'image': run.copy.image_id, 'size': run.plan.size,
                'sources': ' or '.join(
                    location.store for location in run.plan.locations
                ),
                'targets': ', '.join(run.copy.stores),
            },
        )


class StageImage(_CopyTask):
    """Start to stage the image for a group of stores.

    Staging has a thread of its own, so that reading and importing overlap
    even in an engine that runs one task at a time. It ends with the copy.
    """

    def __init__(self, run, group):
        self._group = group
        super().__init__(run, group[0])

    @_unless_suspended
    def execute(self):
        staged = [
            store for store in self._group
            if self._run.plan.needs_staging(store)
        ]
        if staged and not self._run.cancel.cancelled:
            self._run.staging.start(staged)


class ImportToStore(_CopyTask):
    """Bring the image into one store; a failure is an outcome, not an error.

    Reverted, it removes what it wrote and recorded.
    """

    def __init__(self, run, store, provides):
        self._import = importing.StoreImport(run, store)
        super().__init__(run, store, provides=provides)

    def execute(self):
        return self._import.execute()

    def revert(self, result, **kwargs):
        if isinstance(result, importing.Outcome) and result.stored:
            self._import.take_back(result.stored)


class ConcludeCopy(_CopyTask):
    """Apply the policy to the outcomes; raise if the copy failed."""

    def __init__(self, run, requires):
        super().__init__(run, requires=requires)

    @_unless_suspended
    def execute(self, **outcomes):
        run = self._run
        if isinstance(
            run.cancel.error, (errors.RecordsError, errors.Cancelled)
        ):
            raise abort.CopyFailed([run.cancel.error])
        failed = [o.error for o in outcomes.values() if o.error]
        stored = [o for o in outcomes.values() if o.stored]
        if failed and (run.copy.all_must_succeed or not stored):
            raise abort.CopyFailed(failed)
        if len(stored) + len(failed) < len(outcomes):
            raise abort.CopyFailed([run.cancel.error])
        self._confirm(stored)

    def _confirm(self, stored):
        """Look once more: a save of an older record may drop a location."""
        run = self._run
        locations = run.record.facts().locations
        recorded = {location.store for location in locations}
        for outcome in stored:
            if outcome.store in recorded or outcome.stored.url in (
                history.awaits_scrubbing(run.copy.image_id) or ()
            ):
                continue
            if self._exists(outcome):
                LOG.warning(
                    'The location of image %(image)s in store %(store)s was '
                    'dropped by a concurrent update; recording it again',
                    {'image': run.copy.image_id, 'store': outcome.store},
                )
                run.record.store_done(
                    outcome.store, outcome.stored.url,
                    outcome.stored.metadata,
                )

    def _exists(self, outcome):
        run = self._run
        return run.calls.call(
            outcome.store,
            lambda _token: registry.exists(
                outcome.store, outcome.stored.url, run.copy.context
            ),
            cancel=run.cancel,
        )


class CompleteCopy(_CopyTask):
    """Remove staged data, unlock the image, end the task well."""

    def __init__(self, run, requires):
        super().__init__(run, requires=requires)

    def execute(self, **outcomes):
        run = self._run
        if run.suspended:
            run.leave()
            return
        run.close()
        try:
            run.record.end()
        except errors.LeaseLost:
            run.leave()
            return
        except image_record.LockLost as exc:
            # Every location is recorded and complete, so this is a success;
            # the properties are now the other task's to keep.
            LOG.error(
                'The copy of image %(image)s ended without its lock: %(why)s',
                {'image': run.copy.image_id, 'why': exc},
            )
        run.task.succeed(run.copy.image_id, _summary(run, outcomes.values()))
        run.lease.remove()
        late_saves.look_after(run.record, run.copy.context)
        run.ended(instrumentation.DONE)


def _summary(run, outcomes):
    done = ', '.join(o.store for o in outcomes if o.stored)
    text = f'copied {run.plan.size} bytes to {done}'
    failed = '; '.join(str(o.error) for o in outcomes if o.error)
    return f'{text}; failed: {failed}' if failed else text
