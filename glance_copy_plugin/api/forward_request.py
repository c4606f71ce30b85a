# SPDX-License-Identifier: Apache-2.0

"""Letting Glance make the task of a copy, again if it failed too early."""

from oslo_log import log as logging
import tenacity

from glance_copy_plugin.records import locks
from glance_copy_plugin.records import tasks
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

# All of them take a few seconds.
_ATTEMPTS = 8
_LONGEST_PAUSE = 1


def ask(app, request, lease):
    """Hand a request for a copy on to Glance.

    MariaDB and MySQL end one of two transactions that wait for each other.
    If that is the one that locks the image, which often befalls copies that
    begin at once, Glance answers 500 instead of beginning it anew. A request
    that failed and has left nothing is handed on again.

    :param app: Glance behind the filter
    :param lease: the copy's :class:`FileLease`
    :returns: (answer, begun); not begun if nothing will come of the request
    :raises: what Glance raises, where it is not known whether it has begun
    """
    def attempt():
        # Glance changes a request on its way.
        answer = request.copy().get_response(app)
        if answer.status_int < 400:
            return answer, True
        return answer, answer.status_int >= 500 and not _left_nothing(lease)

    def failed_early(result):
        answer, begun = result
        return answer.status_int >= 500 and not begun

    return tenacity.Retrying(
        retry=tenacity.retry_if_result(failed_early),
        wait=tenacity.wait_random_exponential(
            multiplier=0.05, max=_LONGEST_PAUSE
        ),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        before_sleep=lambda _state: LOG.warning(
            'Glance failed before it had begun the copy of image %s, and is '
            'asked again', lease.image_id,
        ),
        retry_error_callback=lambda state: state.outcome.result(),
    )(attempt)


def _left_nothing(lease):
    """True if a request is known to have made no task and no lock."""
    try:
        return (
            tasks.newest_copy(lease.image_id, lease.request_id) is None
            and locks.lock_holder(lease.image_id) is None
        )
    except Exception as exc:
        LOG.warning(
            'Cannot tell whether a failed request has begun the copy of image'
            ' %(image)s: %(why)s',
            {'image': lease.image_id, 'why': errors.redact(exc)},
        )
        return False
