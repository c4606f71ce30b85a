# SPDX-License-Identifier: Apache-2.0

"""Trying a transaction again when the database says "not now"."""

import functools
import sqlite3

from oslo_db import exception as db_exception
import sqlalchemy.exc
import tenacity

from glance_copy_plugin.transfer import errors

# A restart of the database takes seconds, a locked SQLite milliseconds.
_GIVE_UP_SECONDS = 60
_TRANSIENT = (
    db_exception.DBDeadlock, db_exception.DBConnectionError,
    errors.LeaseUnsure,
)


def is_transient(error):
    """True if the same transaction may succeed when it is tried again."""
    if isinstance(error, _TRANSIENT):
        return True
    if isinstance(error, db_exception.DBError):
        error = error.inner_exception
    if not isinstance(error, sqlalchemy.exc.OperationalError):
        return _is_locked(error)
    # What servers say when they start, stop or are not there: oslo.db leaves
    # a connection that could not be made at all as it is.
    return (
        not isinstance(error.orig, sqlite3.Error) or _is_locked(error.orig)
    )


def _is_locked(error):
    return (
        isinstance(error, sqlite3.OperationalError)
        and 'locked' in str(error).lower()
    )


def retried(function):
    """Decorate a function that is one transaction."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=2),
            stop=tenacity.stop_after_delay(_GIVE_UP_SECONDS),
            reraise=True,
        )(function, *args, **kwargs)

    return wrapper
