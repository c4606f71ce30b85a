# SPDX-License-Identifier: Apache-2.0

"""What Cinder and Keystone answer, as glance_store's exceptions."""

import contextlib

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions
from keystoneauth1 import exceptions as keystone_exceptions

_TOO_MUCH = 413


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
    except (
        cinder_exceptions.ClientException,
        cinder_exceptions.ConnectionError,
        cinder_exceptions.EndpointNotFound,
        keystone_exceptions.ClientException,
    ) as exc:
        raise translate(exc, action) from exc


def translate(error, action):
    """Return glance_store's exception for one of a client."""
    said = f'Cinder could not {action}: {error}'
    if isinstance(error, _NOT_FOUND):
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
    if isinstance(error, (
        cinder_exceptions.ConnectionError,
        keystone_exceptions.ConnectionError,
        keystone_exceptions.DiscoveryFailure,
        keystone_exceptions.RetriableConnectionFailure,
    )):
        return True
    code = getattr(error, 'code', None) or getattr(error, 'http_status', 0)
    return isinstance(code, int) and (code >= 500 or code in (408, 429))


_NOT_FOUND = (cinder_exceptions.NotFound,)
_FORBIDDEN = (
    cinder_exceptions.Forbidden,
    cinder_exceptions.Unauthorized,
    keystone_exceptions.Forbidden,
    keystone_exceptions.Unauthorized,
)
