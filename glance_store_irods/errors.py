# SPDX-License-Identifier: Apache-2.0

"""What python-irodsclient raises, as glance_store's exceptions.

Each says in one sentence what happened to which object. Of the client's
exceptions only the name and the number are shown, so that nothing of a
message, and no password, gets into a log.
"""

import errno
import logging
import struct

from glance_store import exceptions
from irods import exception as irods_exception
from irods import message

from glance_store_irods import codes
from glance_store_irods.account import REFUSE
from glance_store_irods.codes import Kind

LOG = logging.getLogger(__name__)

_NEGOTIATION = {-1824000, -1825000}
_LOGIN = {-826000, -827000, -840000, -993000}
_WRITING = ('create', 'write', 'close', 'replicate', 'move', 'copy to')

# The glance_store of 2025.2 has no such exception, and its Glance no answer
# for one: a write or deletion that failed for it is a 500 there.
_TIMEOUT = getattr(
    exceptions, 'TimeoutError', exceptions.GlanceStoreException
)


class Unavailable(exceptions.RemoteServiceUnavailable, _TIMEOUT):
    """The zone cannot do it now; a retry can help.

    Of two classes, because Glance has a 503 for the one when an image is
    read, and for the other when it is written or deleted.
    """


class Misconfigured(exceptions.BadStoreConfiguration, _TIMEOUT):
    """An operator has to put something right; Glance answers 503."""


# What the client raises when it reads something that is not what it waits for.
_NONSENSE = (
    irods_exception.PycommandsException,
    message.iRODSMessage.ResponseNotParseable, SyntaxError, struct.error,
)
# Also while it logs in, where nothing but the client runs.
_NONSENSE_AT_LOGIN = (*_NONSENSE, AttributeError, ValueError)


def answered(error):
    """Tell whether the server has answered: its connection can be used on."""
    code = code_of(error)
    if code is not None:
        return not codes.is_out_of_step(code)
    return isinstance(error, irods_exception.DoesNotExist)


def may_be_outdated(error):
    """Tell whether a server that is asked anew may answer otherwise."""
    code = code_of(error)
    return code is not None and codes.may_be_outdated(code)


def code_of(error):
    """Return the number that the server gave an error, or None."""
    if isinstance(error, irods_exception.iRODSException):
        return error.code
    # The client looks up the class of an error by its number, and what it
    # raises about a number that it does not know is this.
    if isinstance(error, KeyError) and error.args:
        number = error.args[0]
        return number if isinstance(number, int) and number < 0 else None
    return None


def translated(error, action, path, store):
    """Return glance_store's exception for an error, or the error itself.

    :param action: what was to be done, a verb such as 'write'
    :param path: the object or collection it was to be done to
    :param store: name of the store
    """
    what = f'iRODS could not {action} {path}'
    if isinstance(error, irods_exception.DoesNotExist):
        return exceptions.NotFound(image=path)
    code = code_of(error)
    if code is not None:
        return _of_code(error, code, action, path, store)
    if isinstance(error, (irods_exception.NetworkException, OSError)):
        return Unavailable(
            message=f'{what}: the connection was lost or timed out.'
        )
    if isinstance(error, _NONSENSE):
        return Unavailable(
            message=f'{what}: the answer was not understood '
                    f'({type(error).__name__}).'
        )
    return error


def login_failed(error, account, store):
    """Return glance_store's exception for a connection that was not made."""
    where = f'iRODS server {account.address}'
    code = code_of(error)
    if code in _LOGIN:
        return misconfigured(
            store,
            f'the {where} did not accept user {account.user} of zone '
            f'{account.zone} with the password given ({_name(error, code)})',
        )
    if code in _NEGOTIATION or 'negotiation' in str(error).lower():
        return misconfigured(store, (
            f'the {where} requires TLS, and irods_store_tls is not true'
            if account.tls.policy == REFUSE else
            f'the {where} does not offer TLS, which the store requires'
        ))
    if code is not None:
        return Unavailable(
            message=f'The {where} refused the login: {_name(error, code)}.'
        )
    certificate = getattr(error, 'verify_message', None)
    if certificate:
        return misconfigured(
            store,
            f'the certificate of the {where} is not valid: {certificate}',
        )
    if isinstance(error, (irods_exception.NetworkException, OSError)):
        return Unavailable(
            message=f'The {where} cannot be reached.'
        )
    if isinstance(error, RuntimeError):
        # So the client says that a password is missing or needs TLS.
        return misconfigured(
            store,
            f'logging in to the {where} is not possible this way '
            f'({type(error).__name__})',
        )
    if isinstance(error, _NONSENSE_AT_LOGIN):
        return Unavailable(
            message=f'The {where} does not answer as an iRODS server does '
                    f'({type(error).__name__}).'
        )
    return error


def misconfigured(store, reason):
    """Return the exception for what an operator has to put right."""
    return Misconfigured(store_name=store, reason=reason)


def _of_code(error, code, action, path, store):
    kind, words = codes.meaning(code)
    what = f'iRODS could not {action} {path}: {_name(error, code)}'
    said = f'{what}, {words}' if words else what
    if kind is Kind.MISCONFIGURED:
        return misconfigured(store, said)
    if kind is Kind.MISSING:
        if action == 'create':
            return misconfigured(store, f'{what}, there is no collection')
        return exceptions.NotFound(image=path)
    if kind is Kind.EXISTS:
        return exceptions.Duplicate(image=path)
    if kind is Kind.FULL:
        return exceptions.StorageFull(message=f'{said}.')
    if kind is Kind.DENIED:
        if action in _WRITING:
            return exceptions.StorageWriteDenied(message=f'{said}.')
        return exceptions.Forbidden(message=f'{said}.')
    if kind is Kind.UNAVAILABLE:
        if action == 'delete':
            return exceptions.InUseByStore(
                message=f'{said}, or its writer died and an administrator '
                        f'of the zone has to reset its status.'
            )
        return Unavailable(message=f'{said}.')
    if codes.errno_of(code) == errno.ENOENT and action != 'create':
        return _of_lost_file(what, action, path)
    return exceptions.BackendException(f'{said}.')


def _of_lost_file(what, action, path):
    """Return the exception for an object that the catalog alone knows."""
    if action in _WRITING:
        return exceptions.BackendException(
            f'{what}, it was moved or removed while it was written.'
        )
    LOG.error('%s: the catalog knows it, but its file is gone.', what)
    return exceptions.NotFound(image=path)


def _name(error, code):
    name = type(error).__name__
    return f'error {code}' if name == 'KeyError' else f'{name} ({code})'
