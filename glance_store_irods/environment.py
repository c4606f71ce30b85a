# SPDX-License-Identifier: Apache-2.0

"""Reading an ``irods_environment.json``, as iinit and its kin use it."""

import json
import os

from glance_store_irods import account
from glance_store_irods import options

DEFAULT_AUTHENTICATION_FILE = '~/.irods/.irodsA'
_NEEDED = ('irods_host', 'irods_user_name', 'irods_zone_name')
# With these, the authentication file holds a password for a native login.
_PAM_SCHEMES = ('pam', 'pam_password', 'pam_interactive')


class Unusable(Exception):
    """Says in a sentence what is wrong with the file."""


def read_account(path, authentication_file=None):
    """Return the Account that the file at ``path`` describes.

    :param authentication_file: the file with the password, if the
        environment does not decide it
    :raises: Unusable
    """
    found = _load(path)
    for name in _NEEDED:
        if not isinstance(found.get(name), str) or not found[name]:
            raise Unusable(f'the environment file {path} has no {name}')
    _check_scheme(path, found)
    secret = _authentication_file(found, authentication_file)
    try:
        return account.Account(
            host=found['irods_host'],
            port=int(found.get('irods_port', 1247)),
            zone=found['irods_zone_name'],
            user=found['irods_user_name'],
            authentication_file=secret,
            uid=_optional_int(found.get('irods_authentication_uid')),
            tls=_tls(path, found),
        )
    except (TypeError, ValueError) as exc:
        raise Unusable(
            f'the environment file {path} has something else where a number '
            f'is needed'
        ) from exc


def _load(path):
    try:
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
    except OSError as exc:
        raise Unusable(
            f'the environment file {path} cannot be read: {exc.strerror}'
        ) from exc
    except ValueError:
        # What could not be parsed would become part of the exception.
        found = None
    if not isinstance(found, dict):
        raise Unusable(f'the environment file {path} is not a JSON object')
    return found


def _check_scheme(path, found):
    scheme = str(found.get('irods_authentication_scheme', 'native')).lower()
    if scheme not in ('native', *_PAM_SCHEMES):
        raise Unusable(
            f'the environment file {path} asks for the authentication scheme '
            f'{scheme}; the store knows native and PAM'
        )


def _authentication_file(found, configured):
    """Return the path of the file with the password; check that it is one."""
    path = os.path.expanduser(
        configured
        or found.get('irods_authentication_file')
        or os.environ.get('IRODS_AUTHENTICATION_FILE')
        or DEFAULT_AUTHENTICATION_FILE
    )
    try:
        with open(path, encoding='utf-8') as file:
            empty = not file.read().strip()
    except (OSError, ValueError) as exc:
        reason = getattr(exc, 'strerror', None) or 'it is not text'
        raise Unusable(
            f'the authentication file {path} cannot be read: {reason}'
        ) from exc
    if empty:
        raise Unusable(f'the authentication file {path} is empty')
    return path


def _tls(path, found):
    policy = found.get('irods_client_server_policy', account.REFUSE)
    verify = found.get('irods_ssl_verify_server', 'hostname')
    if policy not in account.POLICIES:
        raise Unusable(
            f'the environment file {path} has an unknown '
            f'irods_client_server_policy'
        )
    if verify not in options.VERIFY:
        raise Unusable(
            f'the environment file {path} has an unknown '
            f'irods_ssl_verify_server'
        )
    return account.Tls(
        policy=policy,
        verify=verify,
        ca_file=found.get('irods_ssl_ca_certificate_file'),
        ca_path=found.get('irods_ssl_ca_certificate_path'),
        algorithm=found.get('irods_encryption_algorithm', 'AES-256-CBC'),
        key_size=int(found.get('irods_encryption_key_size', 32)),
        salt_size=int(found.get('irods_encryption_salt_size', 8)),
        hash_rounds=int(found.get('irods_encryption_num_hash_rounds', 16)),
    )


def _optional_int(value):
    return None if value is None else int(value)
