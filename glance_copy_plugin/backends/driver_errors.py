# SPDX-License-Identifier: Apache-2.0

"""What the exceptions of glance_store's drivers mean for a copy."""

from glance_store import exceptions as store_exceptions

from glance_copy_plugin.transfer import errors

_NO_SPACE = 'no space left'
# What a driver says and what will not pass by itself.
LASTING = (
    store_exceptions.BadStoreConfiguration,
    store_exceptions.BadStoreUri,
    store_exceptions.Duplicate,
    store_exceptions.Forbidden,
    store_exceptions.HasSnapshot,
    store_exceptions.InUseByStore,
    store_exceptions.Invalid,
    store_exceptions.MissingCredentialError,
    store_exceptions.NotFound,
    store_exceptions.StorageFull,
    store_exceptions.StorageWriteDenied,
    store_exceptions.StoreAddDisabled,
    store_exceptions.StoreGetNotSupported,
    store_exceptions.UnknownHashingAlgo,
    store_exceptions.UnknownScheme,
    store_exceptions.UnsupportedBackend,
)


def target_error(error, store):
    """Return the :class:`TargetError` for what writing to a store raised."""
    if isinstance(error, errors.CopyError):
        return error
    if isinstance(error, LASTING):
        return errors.TargetError(reason(error), store=store)
    return errors.target_error(error, reason(error), store=store)


def reason(error):
    """Say in a few words what a driver's exception means."""
    if isinstance(error, store_exceptions.StorageFull):
        return _full(str(error))
    if isinstance(error, store_exceptions.StorageWriteDenied):
        return 'writing was denied; check its permissions'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, errors.CopyError):
        return error.reason
    text = str(getattr(error, 'msg', '') or error).strip()
    return text or type(error).__name__


def _full(said):
    """Say that a store is full, and what its driver knows about it."""
    if said == store_exceptions.StorageFull.message:
        return _NO_SPACE
    return said if _NO_SPACE in said else f'{_NO_SPACE}: {said}'
