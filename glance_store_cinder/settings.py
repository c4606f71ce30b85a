# SPDX-License-Identifier: Apache-2.0

"""The options of a store, checked, as a frozen record."""

import dataclasses
import os
from urllib import parse

from glance_store import exceptions

INTERFACES = ('public', 'internal', 'admin')
# Names of the volume service whose own API versions no Cinder has any more.
_FORMER_TYPES = ('volume', 'volumev2')
_CURRENT_TYPE = 'block-storage'
_PASSWORD = (
    'cinder_store_auth_address', 'cinder_store_user_name',
    'cinder_store_password', 'cinder_store_project_name',
)
_APPLICATION = (
    'cinder_store_auth_address', 'cinder_store_application_credential_id',
    'cinder_store_application_credential_secret',
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CinderSettings:
    """What one store was told.

    :param store: its name
    :param volume_type: name of the type of its volumes, or None for Cinder's
        default
    :param login: name of the options to log in with: ``password``,
        ``application`` or ``context`` (that of each request)
    :param service_type: to look for in the catalog of services
    :param verify: of TLS: False, True, or the path of a CA file
    :param patience: seconds that a volume may take to change its state
    :param options: oslo.config's group, for what is used only once
    """

    store: str
    volume_type: str | None
    login: str
    service_type: str
    service_name: str | None
    interface: str
    region: str | None
    verify: bool | str
    retries: int
    patience: int
    extend_attached: bool
    options: object = dataclasses.field(repr=False, compare=False)

    @property
    def has_own_login(self):
        return self.login != 'context'


def read(options, store):
    """Return the :class:`CinderSettings` of a store.

    :param options: oslo.config's group of the store
    :raises: BadStoreConfiguration, which says in one sentence what is wrong
    """
    try:
        return _read(options, store)
    except ValueError as exc:
        raise exceptions.BadStoreConfiguration(
            store_name=store, reason=str(exc)
        ) from exc


def check_several(told, others):
    """See whether a store is told apart from others that use Cinder.

    :param told: :class:`CinderSettings`
    :param others: names of the other stores
    :raises: BadStoreConfiguration
    """
    if not others:
        return
    missing = [] if told.volume_type else ['cinder_volume_type']
    if not told.has_own_login:
        missing += _PASSWORD
    if missing:
        raise exceptions.BadStoreConfiguration(
            store_name=told.store,
            reason=f'{_listed(missing)} must be set, because other stores '
                   f'keep images in Cinder too: {", ".join(sorted(others))}',
        )


def doubts(told):
    """Yield sentences about what works, but is hardly meant."""
    path = told.options.rootwrap_config
    if not os.path.isfile(path):
        yield (
            f'rootwrap_config {path} does not exist, so that no volume can '
            'be attached that needs a command run as root'
        )
    if told.verify is False:
        yield (
            'cinder_api_insecure is true, so that anybody on the way can '
            'read and change what Keystone and Cinder are told'
        )


def _read(options, store):
    login = _login(options)
    service_type, service_name, interface = _catalog_info(options)
    _check_url(options, 'cinder_store_auth_address')
    _check_url(options, 'cinder_endpoint_template')
    if not os.path.isabs(options.cinder_mount_point_base):
        raise ValueError(
            'cinder_mount_point_base must be an absolute path, and is '
            f'{options.cinder_mount_point_base!r}'
        )
    return CinderSettings(
        store=store,
        volume_type=_volume_type(options),
        login=login,
        service_type=service_type,
        service_name=service_name,
        interface=interface,
        region=options.cinder_os_region_name or None,
        verify=_verify(options),
        retries=options.cinder_http_retries,
        patience=options.cinder_state_transition_timeout,
        extend_attached=options.cinder_do_extend_attached,
        options=options,
    )


def _volume_type(options):
    """Return the name without what follows it in the usual example.

    oslo.config takes a comment at the end of a line for a part of the value.
    """
    name, _, _ = (options.cinder_volume_type or '').partition(' #')
    return name.strip() or None


def _login(options):
    """Return how to log in; the options for one way must be complete."""
    ways = {'application': _APPLICATION, 'password': _PASSWORD}
    for way, names in ways.items():
        if all(getattr(options, name) for name in names):
            return way
    # What only one of the ways needs shows which one was meant.
    for way, telling in (
        ('application', _APPLICATION[1:]),
        ('password', ('cinder_store_user_name', 'cinder_store_password')),
    ):
        if any(getattr(options, name) for name in telling):
            missing = [
                name for name in ways[way] if not getattr(options, name)
            ]
            raise ValueError(
                f'{_listed(missing)} must be set too, for Cinder to accept '
                'the login that the other options describe'
            )
    return 'context'


def _catalog_info(options):
    told = options.cinder_catalog_info
    parts = told.split(':')
    interface = parts[-1].removesuffix('URL')
    if len(parts) != 3 or not parts[0] or interface not in INTERFACES:
        raise ValueError(
            'cinder_catalog_info must have the form '
            f'<service type>:<service name>:<interface>, and is {told!r}'
        )
    service_type = parts[0]
    if service_type in _FORMER_TYPES:
        service_type = _CURRENT_TYPE
    return service_type, parts[1] or None, interface


def _check_url(options, name):
    value = getattr(options, name)
    if not value:
        return
    try:
        url = parse.urlsplit(value)
        host, secret = url.hostname, url.username or url.password
    except ValueError:
        url, host, secret = None, None, None
    if url is None or url.scheme not in ('http', 'https') or not host:
        raise ValueError(f'{name} is no URL of http or https')
    if secret:
        raise ValueError(
            f'{name} must not have a user or password in it; there are '
            'options of their own for them'
        )


def _verify(options):
    if options.cinder_api_insecure:
        return False
    path = options.cinder_ca_certificates_file
    if not path:
        return True
    try:
        with open(path, 'rb') as file:
            is_pem = b'-----BEGIN' in file.read()
    except OSError as exc:
        raise ValueError(
            f'cinder_ca_certificates_file {path} cannot be read: '
            f'{exc.strerror}'
        ) from exc
    if not is_pem:
        raise ValueError(
            f'cinder_ca_certificates_file {path} holds no certificate in '
            'PEM format'
        )
    return path


def _listed(names):
    return ', '.join(names[:-1]) + (' and ' if names[1:] else '') + names[-1]
