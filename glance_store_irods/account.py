# SPDX-License-Identifier: Apache-2.0

"""Who logs in where, and how the connection is protected."""

import dataclasses
import ssl

REFUSE = 'CS_NEG_REFUSE'
DONT_CARE = 'CS_NEG_DONT_CARE'
REQUIRE = 'CS_NEG_REQUIRE'
POLICIES = (REFUSE, DONT_CARE, REQUIRE)


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
        told = {
            'client_server_policy': self.policy,
            'encryption_algorithm': self.algorithm,
            'encryption_key_size': self.key_size,
            'encryption_salt_size': self.salt_size,
            'encryption_num_hash_rounds': self.hash_rounds,
        }
        if self.policy != REFUSE:
            told['client_server_negotiation'] = 'request_server_negotiation'
            told['ssl_context'] = self.context()
        return told


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """A user of a zone; its repr shows no password.

    :param scheme: 'native' or 'pam_password'
    :param password: or None if it stands in ``authentication_file``
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
        return f'{self.host}:{self.port}'
