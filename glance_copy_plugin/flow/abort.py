# SPDX-License-Identifier: Apache-2.0

"""Ending a copy that failed."""

from glance.common import exception
from oslo_log import log as logging

from glance_copy_plugin.flow import importing
from glance_copy_plugin.reconcile import late_saves
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import errors
from glance_copy_plugin.transfer import instrumentation

LOG = logging.getLogger(__name__)


class CopyFailed(exception.UploadException):
    """The copy failed; its message says which store, and why.

    Glance's executor takes this for an expected end of a flow.

    :param causes: :class:`CopyError` objects, at least one
    """

    def __init__(self, causes):
        # One source that cannot be read is the same reason for all stores.
        reasons = list(dict.fromkeys(str(cause) for cause in causes))
        super().__init__('; '.join(reasons))


def end_failed_copy(run, flow_failures):
    """End the task with the reason, empty the properties, drop the lock.

    Called when everything else has been taken back. Raises nothing: what
    cannot be recorded now is logged.

    :param run: :class:`CopyRun`
    :param flow_failures: TaskFlow's ``{task name: Failure}``
    """
    try:
        run.confirm()
        run.close()
        if run.copy.resumed:
            _take_everything_back(run)
        _end(run, _reason(run, flow_failures))
    except errors.LeaseLost:
        run.leave()


def _end(run, reason):
    """Write the end down; raise :class:`LeaseLost` if it is not ours to."""
    LOG.error(
        'The copy of image %(image)s failed: %(why)s',
        {'image': run.copy.image_id, 'why': reason},
    )
    # If no store was tried, each of them failed for the same reason.
    stopped = isinstance(
        run.cancel.error, (errors.Cancelled, errors.RecordsError)
    )
    failed = () if run.progress.begun or stopped else run.copy.stores
    try:
        run.record.end(failed)
    except image_record.ImageGone as exc:
        # Then a source that is not there any more is no news.
        reason = str(exc)
    except errors.LeaseLost:
        raise
    except image_record.LockLost as exc:
        LOG.info('The image record is left as it is: %s', exc)
    except Exception:
        LOG.exception(
            'Image %s could not be unlocked after its copy failed',
            run.copy.image_id,
        )
    try:
        run.task.fail(reason)
    except Exception:
        LOG.exception('Task %s could not be ended', run.copy.task_id)
        run.lease.release()
    else:
        run.lease.remove()
    late_saves.look_after(run.record, run.copy.context)
    run.ended(instrumentation.FAILED)


def _take_everything_back(run):
    """Remove what the copy has left in its stores, in whichever process."""
    try:
        holder = run.record.facts().lock
    except image_record.ImageGone:
        holder = run.copy.task_id
    if holder != run.copy.task_id:
        # What is in the stores may be another copy's by now.
        LOG.warning(
            'Nothing of the interrupted copy of image %s is removed: the '
            'image is locked for another task', run.copy.image_id,
        )
        return
    for store in run.copy.stores:
        importing.StoreImport(run, store).take_back_all()


def _reason(run, flow_failures):
    for failure in flow_failures.values():
        error = failure.exception
        if isinstance(error, CopyFailed):
            return error.msg
        if isinstance(error, errors.CopyError):
            return str(error)
        LOG.error(
            'Unexpected failure of a copy: %s',
            errors.redact(failure.traceback_str),
        )
        return errors.redact(f'{type(error).__name__}: {error}')
    return str(run.cancel.error or 'the copy was stopped')
