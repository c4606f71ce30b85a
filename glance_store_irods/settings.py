# SPDX-License-Identifier: Apache-2.0

"""The options of a store, checked as far as can be without a zone."""

import dataclasses
import os
import types

from glance_store import exceptions
from oslo_config import cfg

from glance_store_irods import account
from glance_store_irods import location
from glance_store_irods import options

PREFIX = options.PREFIX
_INLINE = (
    'host', 'zone', 'user', 'password', 'tls', 'ca_file', 'ca_path',
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IrodsSettings:
    """The options of one store; times in seconds, sizes in bytes.

    :param store: its name in the configuration
    :param collection: path of the collection, with its zone
    :param primary: resource that images are written to, or None
    :param replica: resource that gets a second replica, or None
    """

    store: str
    account: account.Account
    collection: str
    primary: str | None
    replica: str | None
    connection_timeout: float
    timeout: float
    long_timeout: float
    pool_size: int
    connection_idle: float
    connection_max_age: float
    chunk_size: int
    transfer_threads: int

    @property
    def zone(self):
        """The zone that the collection lies in."""
        return self.collection.split('/')[1]


def read(conf, group):
    """Return the :class:`IrodsSettings` of the store ``group``.

    :raises: BadStoreConfiguration, with everything but the zone checked
    """
    try:
        given = _values(conf[group])
        collection = _collection(given)
        _check_siblings(conf, group, collection)
        if given.replica_res and given.replica_res == given.primary_res:
            raise ValueError(
                f'{PREFIX}primary_res and {PREFIX}replica_res are the same '
                f'resource'
            )
        user = _account(given)
        _check_tls(given, user)
    except ValueError as exc:
        raise exceptions.BadStoreConfiguration(
            store_name=group, reason=str(exc)
        ) from exc
    return IrodsSettings(
        store=group, account=user, collection=collection,
        primary=given.primary_res, replica=given.replica_res,
        **{name: getattr(given, name) for name in (
            'connection_timeout', 'timeout', 'long_timeout', 'pool_size',
            'connection_idle', 'connection_max_age', 'chunk_size',
            'transfer_threads',
        )},
    )


def _values(group):
    """Return all values by their names without the prefix; None for empty."""
    found = types.SimpleNamespace()
    for option in options.OPTIONS:
        try:
            value = group[option.dest]
        except (cfg.Error, ValueError) as exc:
            # Of a password, the message shows what follows a dollar sign.
            reason = (
                'a dollar sign in it has to be written twice'
                if option.secret else str(exc)
            )
            raise ValueError(f'{option.dest} is not valid: {reason}') from None
        setattr(
            found, option.dest.removeprefix(PREFIX),
            None if value == '' else value,
        )
    return found


def _needed(given, name):
    value = getattr(given, name)
    if value is None:
        raise ValueError(f'{PREFIX}{name} is not set')
    return value


def _collection(given):
    path = _needed(given, 'path').rstrip('/')
    try:
        location.check(f'{path}/name')
    except exceptions.BadStoreUri as exc:
        raise ValueError(
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
            raise ValueError(
                f'its collection {collection} and that of the store {other}, '
                f'{path}, lie in each other'
            )


def _account(given):
    path = given.environment_file
    if path is not None:
        for name in _INLINE:
            if getattr(given, name):
                raise ValueError(
                    f'{PREFIX}{name} and {PREFIX}environment_file exclude '
                    f'each other'
                )
        return account.of_environment(path, given.authentication_file)
    if given.authentication_file:
        raise ValueError(
            f'{PREFIX}authentication_file is of use only with '
            f'{PREFIX}environment_file'
        )
    host, zone = _needed(given, 'host'), _needed(given, 'zone')
    if '/' in zone:
        raise ValueError(f'{PREFIX}zone is {zone}, which is not a name')
    return account.Account(
        host=host, port=given.port, zone=zone, user=_needed(given, 'user'),
        password=_needed(given, 'password'), scheme=given.auth_scheme,
        tls=account.Tls(
            policy=account.REQUIRE if given.tls else account.REFUSE,
            verify=given.tls_verify,
            ca_file=given.ca_file,
            ca_path=given.ca_path,
        ),
    )


def _check_tls(given, user):
    tls = user.tls
    if tls.policy == account.REFUSE:
        if user.scheme != 'native':
            raise ValueError(
                f'{PREFIX}auth_scheme {user.scheme} sends the password, so '
                f'that it needs {PREFIX}tls'
            )
        if given.ca_file or given.ca_path:
            raise ValueError(
                f'{PREFIX}ca_file and {PREFIX}ca_path are of use only with '
                f'{PREFIX}tls'
            )
        return
    if tls.ca_path is not None and not os.path.isdir(tls.ca_path):
        raise ValueError(f'{tls.ca_path} is not a directory')
    try:
        tls.context()
    except OSError as exc:
        raise ValueError(
            f'the certificate authorities in {tls.ca_file} cannot be used: '
            f'{exc.strerror or type(exc).__name__}'
        ) from exc
