# SPDX-License-Identifier: Apache-2.0

"""What a store is told to do, checked as far as it can be without a zone."""

import dataclasses
import os

from glance_store import exceptions
from oslo_config import cfg

from glance_store_irods import account
from glance_store_irods import environment
from glance_store_irods import location

PREFIX = 'irods_store_'
_INLINE = (
    'host', 'zone', 'user', 'password', 'tls', 'ca_file', 'ca_path',
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IrodsSettings:
    """The options of one store; times in seconds, sizes in bytes.

    :param store: its name in the configuration
    :param collection: path of the collection, with its zone
    """

    store: str
    account: account.Account
    collection: str
    primary: str | None = None
    replica: str | None = None
    connection_timeout: float = 10.0
    timeout: float = 120.0
    long_timeout: float = 14400.0
    pool_size: int = 32
    chunk_size: int = 4 * 1024 * 1024
    transfer_threads: int = 1

    @property
    def zone(self):
        """The zone that the collection lies in."""
        return self.collection.split('/')[1]


def read(conf, group):
    """Return the IrodsSettings of the store ``group``.

    :raises: BadStoreConfiguration with everything but the zone checked
    """
    told = _Group(conf, group)
    collection = _collection(told)
    _check_siblings(conf, group, collection)
    _check_resources(told)
    account_ = _account(told)
    _check_tls(told, account_)
    return IrodsSettings(
        store=group,
        account=account_,
        collection=collection,
        primary=told('primary_res'),
        replica=told('replica_res'),
        connection_timeout=told('connection_timeout'),
        timeout=told('timeout'),
        long_timeout=told('long_timeout'),
        pool_size=told('pool_size'),
        chunk_size=told('chunk_size'),
        transfer_threads=told('transfer_threads'),
    )


class _Group:
    """The options of one group, by their names without the prefix."""

    def __init__(self, conf, group):
        self._options = conf[group]
        self._group = group

    def __call__(self, name):
        try:
            value = self._options[PREFIX + name]
        except (cfg.Error, ValueError) as exc:
            # Of a password, the message shows what follows a dollar sign.
            reason = (
                'a dollar sign in it has to be written twice'
                if name == 'password' else str(exc)
            )
            raise self.bad(f'{PREFIX}{name} is not valid: {reason}') from None
        return value or None if isinstance(value, str) else value

    def bad(self, reason):
        return exceptions.BadStoreConfiguration(
            store_name=self._group, reason=reason
        )

    def needed(self, name):
        value = self(name)
        if value is None:
            raise self.bad(f'{PREFIX}{name} is not set')
        return value


def _collection(told):
    path = told.needed('path').rstrip('/')
    try:
        location.check(f'{path}/name')
    except exceptions.BadStoreUri as exc:
        raise told.bad(
            f'{PREFIX}path is {path or "/"}, but it must be an absolute path '
            f'that begins with a zone, such as /tempZone/home/glance'
        ) from exc
    return path


def _check_siblings(conf, group, collection):
    """A location must not be able to belong to two stores."""
    for other, kind in (getattr(conf, 'enabled_backends', None) or {}).items():
        if kind != 'irods' or other == group:
            continue
        try:
            path = conf[other][f'{PREFIX}path']
        except cfg.NoSuchOptError:
            continue
        theirs, ours = f'{(path or "").rstrip("/")}/', f'{collection}/'
        if path and (theirs.startswith(ours) or ours.startswith(theirs)):
            raise exceptions.BadStoreConfiguration(
                store_name=group,
                reason=f'its collection {collection} and that of the store '
                       f'{other}, {path}, lie in each other',
            )


def _check_resources(told):
    if told('replica_res') and told('replica_res') == told('primary_res'):
        raise told.bad(
            f'{PREFIX}primary_res and {PREFIX}replica_res are the same '
            f'resource'
        )


def _account(told):
    path = told('environment_file')
    if path is None:
        return _inline_account(told)
    for name in _INLINE:
        if told(name):
            raise told.bad(
                f'{PREFIX}{name} and {PREFIX}environment_file exclude each '
                f'other'
            )
    try:
        return environment.read_account(path, told('authentication_file'))
    except environment.Unusable as exc:
        raise told.bad(str(exc)) from exc


def _inline_account(told):
    if told('authentication_file'):
        raise told.bad(
            f'{PREFIX}authentication_file is of use only with '
            f'{PREFIX}environment_file'
        )
    host, zone = told.needed('host'), told.needed('zone')
    if '/' in zone:
        raise told.bad(f'{PREFIX}zone is {zone}, which is not a name')
    return account.Account(
        host=host, port=told('port'), zone=zone, user=told.needed('user'),
        password=told.needed('password'), scheme=told('auth_scheme'),
        tls=account.Tls(
            policy=account.REQUIRE if told('tls') else account.REFUSE,
            verify=told('tls_verify'),
            ca_file=told('ca_file'),
            ca_path=told('ca_path'),
        ),
    )


def _check_tls(told, account_):
    tls = account_.tls
    if tls.policy == account.REFUSE:
        if account_.scheme != 'native':
            raise told.bad(
                f'{PREFIX}auth_scheme {account_.scheme} sends the password, '
                f'so that it needs {PREFIX}tls'
            )
        if told('ca_file') or told('ca_path'):
            raise told.bad(
                f'{PREFIX}ca_file and {PREFIX}ca_path are of use only with '
                f'{PREFIX}tls'
            )
        return
    if tls.ca_path is not None and not os.path.isdir(tls.ca_path):
        raise told.bad(f'{tls.ca_path} is not a directory')
    try:
        tls.context()
    except OSError as exc:
        raise told.bad(
            f'the certificate authorities in {tls.ca_file} cannot be used: '
            f'{exc.strerror or type(exc).__name__}'
        ) from exc
