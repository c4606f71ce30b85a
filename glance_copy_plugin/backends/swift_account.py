# SPDX-License-Identifier: Apache-2.0

"""Logging in as the user of a store in Swift, and what is refused.

It needs swiftclient. What Keystone or Swift refuses becomes an exception of
glance_store that says what to look at.
"""

import contextlib

from glance_store import exceptions
from keystoneauth1 import exceptions as keystone_exceptions
import swiftclient

# What is raised when a connection fails is an OSError.
ERRORS = (
    swiftclient.ClientException, keystone_exceptions.ClientException, OSError,
)
_FORBIDDEN = (401, 403)
_FULL = (413, 507)


def login(driver):
    """Return glance_store's connection manager, which renews its token."""
    with _told_by_keystone():
        return driver.get_manager(
            driver.create_location('any'), allow_reauth=True
        )


def storage_url(driver):
    """Return the URL of the account of a store."""
    return login(driver).storage_url


@contextlib.contextmanager
def told(container):
    """Raise what others understand for what the server says.

    :param container: the name of the container that it is asked about
    """
    try:
        with _told_by_keystone():
            yield
    except swiftclient.ClientException as exc:
        if exc.http_status == 404:
            raise exceptions.NotFound() from None
        if exc.http_status in _FULL:
            raise exceptions.StorageFull(
                message='no space left: the quota of the container '
                f'{container} or of its account is used up, or Swift is full'
            ) from None
        if exc.http_status in _FORBIDDEN:
            raise exceptions.Forbidden(
                'Swift refuses the user of the store the container '
                f"{container}; check the user's roles and the container's "
                'access list'
            ) from None
        raise


@contextlib.contextmanager
def _told_by_keystone():
    try:
        yield
    except (keystone_exceptions.Unauthorized, keystone_exceptions.Forbidden):
        raise exceptions.Forbidden(
            'Keystone refuses the user of the store; check swift_store_user '
            'and swift_store_key, or the file that swift_store_config_file '
            'names'
        ) from None
