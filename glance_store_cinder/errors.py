# SPDX-License-Identifier: Apache-2.0

"""Errors of Cinder and Keystone as glance_store's, and trying again."""

import contextlib

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions
from keystoneauth1 import exceptions as keystone_exceptions
import tenacity

OF_CLIENTS = (
    cinder_exceptions.ClientException, cinder_exceptions.ConnectionError,
    cinder_exceptions.EndpointNotFound, keystone_exceptions.ClientException,
)
_FORBIDDEN = (
    cinder_exceptions.Forbidden, cinder_exceptions.Unauthorized,
    keystone_exceptions.Forbidden, keystone_exceptions.Unauthorized,
)
_NO_ANSWER = (
    cinder_exceptions.ConnectionError, keystone_exceptions.ConnectionError,
    keystone_exceptions.DiscoveryFailure,
    keystone_exceptions.RetriableConnectionFailure,
)
_TOO_MUCH = 413
_ATTEMPTS = 4
_PAUSES = tenacity.wait_exponential(0.2, max=3)

# The glance_store of 2025.2 has no such exception, and its Glance no answer
# for one: a write or deletion that failed for it is a 500 there.
_TIMEOUT = getattr(
    exceptions, 'TimeoutError', exceptions.GlanceStoreException
)


class Unreachable(exceptions.RemoteServiceUnavailable, _TIMEOUT):
    """Cinder or Keystone did not answer; it may do so later.

    Of two classes, because Glance has a 503 for the one when an image is
    read, and for the other when it is written or deleted.
    """


@contextlib.contextmanager
def translated(action):
    """Raise glance_store's exceptions for those of the clients.

    :param action: what is done, such as 'read volume 5'
    """
    try:
        yield
    except OF_CLIENTS as exc:
        raise translate(exc, action) from exc


def translate(error, action):
    """Return glance_store's exception for one of a client."""
    said = f'Cinder could not {action}: {error}'
    if isinstance(error, cinder_exceptions.NotFound):
        return exceptions.NotFound(message=said)
    if isinstance(error, _FORBIDDEN):
        return exceptions.Forbidden(message=said)
    if getattr(error, 'code', None) == _TOO_MUCH:
        return exceptions.StorageFull(message=said)
    if is_passing(error):
        return Unreachable(message=said)
    return exceptions.BackendException(said)


def is_passing(error):
    """True if the same call may succeed later.

    python-cinderclient has no class for a 500: only its code tells.
    """
    if isinstance(error, _NO_ANSWER):
        return True
    code = getattr(error, 'code', None) or getattr(error, 'http_status', 0)
    return isinstance(code, int) and (code >= 500 or code in (408, 429))


def poll(look, is_done, seconds, retry_errors=True):
    """Call ``look`` until ``is_done`` of its result, or time is over.

    :param seconds: how long
    :param retry_errors: look again after an error that may pass, too
    :returns: the last result, which the caller has to judge
    :raises: what the last look did
    """
    retry = tenacity.retry_if_result(lambda result: not is_done(result))
    if retry_errors:
        retry |= tenacity.retry_if_exception(is_passing)
    return tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds), wait=_PAUSES, retry=retry,
        retry_error_callback=lambda state: state.outcome.result(),
    )(look)


def insist(call):
    """Call a few times, as long as the error is one that may pass."""
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS), wait=_PAUSES,
        retry=tenacity.retry_if_exception(is_passing), reraise=True,
    )(call)
