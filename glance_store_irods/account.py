# SPDX-License-Identifier: Apache-2.0

"""Who logs in where, and how the connection is protected.

Also as an ``irods_environment.json`` says it, which iinit and its kin use.
"""

import dataclasses
import json
import os
import ssl

REFUSE = 'CS_NEG_REFUSE'
REQUIRE = 'CS_NEG_REQUIRE'
_POLICIES = (REFUSE, 'CS_NEG_DONT_CARE', REQUIRE)
VERIFY = ('hostname', 'cert', 'none')
DEFAULT_AUTHENTICATION_FILE = '~/.irods/.irodsA'
_NEEDED = ('irods_host', 'irods_user_name', 'irods_zone_name')
# With those of PAM, the authentication file has a password for native login.
_SCHEMES = ('native', 'pam', 'pam_password', 'pam_interactive')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tls:
    """Protection of the connection.

    :param policy: whether the client refuses, allows or requires TLS
    :param verify: 'hostname', 'cert' or 'none'
    :param ca_file: file with certificate authorities, or None
    :param ca_path: folder with them; the system's if both are None
    """

    policy: str = REFUSE
    verify: str = 'hostname'
    ca_file: str | None = None
    ca_path: str | None = None
    algorithm: str = 'AES-256-CBC'
    key_size: int = 32
    salt_size: int = 8
    hash_rounds: int = 16

    def context(self):
        """Return a new ssl.SSLContext; OSError if it cannot be made."""
        context = ssl.create_default_context(
            cafile=self.ca_file, capath=self.ca_path
        )
        context.check_hostname = self.verify == 'hostname'
        if self.verify == 'none':
            context.verify_mode = ssl.CERT_NONE
        return context

    def options(self):
        """Return what a session of python-irodsclient is told about it.

        The context is always our own: without certificate authorities the
        client would verify nothing. Its options for encryption must be there
        even where nothing is encrypted.
        """
        found = {
            # Only then a server that requires TLS says so.
            'client_server_negotiation': 'request_server_negotiation',
            'client_server_policy': self.policy,
            'encryption_algorithm': self.algorithm,
            'encryption_key_size': self.key_size,
            'encryption_salt_size': self.salt_size,
            'encryption_num_hash_rounds': self.hash_rounds,
        }
        if self.policy != REFUSE:
            found['ssl_context'] = self.context()
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """A user of a zone; its repr shows no password.

    :param scheme: 'native' or 'pam_password'
    :param password: or None if it is in ``authentication_file``
    :param uid: number of the user that wrote this file; our own if None
    """

    host: str
    port: int
    zone: str
    user: str
    scheme: str = 'native'
    password: str | None = dataclasses.field(default=None, repr=False)
    authentication_file: str | None = None
    uid: int | None = None
    tls: Tls = dataclasses.field(default_factory=Tls)

    @property
    def address(self):
        """Host and port, for messages."""
        return f'{self.host}:{self.port}'


def of_environment(path, authentication_file=None):
    """Return the :class:`Account` that an environment file describes.

    :param authentication_file: the file with the password, if the
        environment does not decide it
    :raises: ValueError with a sentence that says what is wrong with the file
    """
    file = f'the environment file {path}'
    found = _load(path, file)
    for name in _NEEDED:
        if not isinstance(found.get(name), str) or not found[name]:
            raise ValueError(f'{file} has no {name}')
    scheme = str(found.get('irods_authentication_scheme', 'native')).lower()
    if scheme not in _SCHEMES:
        raise ValueError(
            f'{file} asks for the authentication scheme {scheme}; the store '
            f'knows native and PAM'
        )

    def choice(name, default, known):
        value = found.get(name, default)
        if value not in known:
            raise ValueError(f'{file} has an unknown {name}')
        return value

    def number(name, default=None):
        value = found.get(name, default)
        try:
            return value if value is default else int(value)
        except (TypeError, ValueError):
            raise ValueError(f'{file}: {name} is not a number') from None

    return Account(
        host=found['irods_host'],
        port=number('irods_port', 1247),
        zone=found['irods_zone_name'],
        user=found['irods_user_name'],
        authentication_file=_authentication_file(found, authentication_file),
        uid=number('irods_authentication_uid'),
        tls=Tls(
            policy=choice('irods_client_server_policy', REFUSE, _POLICIES),
            verify=choice('irods_ssl_verify_server', 'hostname', VERIFY),
            ca_file=found.get('irods_ssl_ca_certificate_file'),
            ca_path=found.get('irods_ssl_ca_certificate_path'),
            algorithm=found.get('irods_encryption_algorithm', 'AES-256-CBC'),
            key_size=number('irods_encryption_key_size', 32),
            salt_size=number('irods_encryption_salt_size', 8),
            hash_rounds=number('irods_encryption_num_hash_rounds', 16),
        ),
    )


def _load(path, file):
    try:
        with open(path, encoding='utf-8') as opened:
            found = json.load(opened)
    except OSError as exc:
        raise ValueError(f'{file} cannot be read: {exc.strerror}') from exc
    except ValueError:
        # What could not be parsed would become part of the exception.
        found = None
    if not isinstance(found, dict):
        raise ValueError(f'{file} is not a JSON object')
    return found


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
        raise ValueError(
            f'the authentication file {path} cannot be read: {reason}'
        ) from exc
    if empty:
        raise ValueError(f'the authentication file {path} is empty')
    return path
