# SPDX-License-Identifier: Apache-2.0

"""The options of a store, and what they say, checked."""

import dataclasses
import os
from urllib import parse

from glance_store import exceptions
from glance_store._drivers.cinder import store as stock
from oslo_config import cfg

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
# The glance_store of 2025.2 does not have these yet.
_LATER = [
    cfg.StrOpt('cinder_store_application_credential_id', help="""
Id of an application credential to log in to Keystone with.

Used instead of user, password and project, together with
``cinder_store_application_credential_secret``.
"""),
    cfg.StrOpt(
        'cinder_store_application_credential_secret', secret=True,
        help='Secret of ``cinder_store_application_credential_id``.',
    ),
]


def complete(options):
    """Return these options with those that a later release has besides.

    :param options: of glance_store's driver ``cinder``
    """
    known = {option.dest for option in options}
    return [*options, *(each for each in _LATER if each.dest not in known)]


OPTIONS = complete(stock.Store.OPTIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CinderSettings:
    """What the options of one store say.

    :param store: its name
    :param volume_type: name of the type of its volumes, or None for Cinder's
        default
    :param login: name of the options to log in with: ``password``,
        ``application`` or ``context`` (that of each request)
    :param service_type: to look for in the catalog of services
    :param verify: of TLS: False, True, or the path of a CA file
    :param retries: how often to try again to connect
    :param timeout: seconds that a volume may take to change its state
    :param extend_attached: make volumes larger without detaching them
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
    timeout: int
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
        login = _login(options)
        service_type, service_name, interface = _catalog_info(options)
        _check_url(options, 'cinder_store_auth_address')
        _check_url(options, 'cinder_endpoint_template')
        if not os.path.isabs(options.cinder_mount_point_base):
            raise ValueError(
                'cinder_mount_point_base must be an absolute path, and is '
                f'{options.cinder_mount_point_base!r}'
            )
        verify = _verify(options)
    except ValueError as exc:
        raise exceptions.BadStoreConfiguration(
            store_name=store, reason=str(exc)
        ) from exc
    # oslo.config takes a comment at the end of a line, as in the usual
    # example, for a part of the value.
    volume_type = (options.cinder_volume_type or '').partition(' #')[0]
    return CinderSettings(
        store=store,
        volume_type=volume_type.strip() or None,
        login=login,
        service_type=service_type,
        service_name=service_name,
        interface=interface,
        region=options.cinder_os_region_name or None,
        verify=verify,
        retries=options.cinder_http_retries,
        timeout=options.cinder_state_transition_timeout,
        extend_attached=options.cinder_do_extend_attached,
        options=options,
    )


def check_several(settings, others):
    """See whether a store can be told from others that use Cinder.

    :param settings: :class:`CinderSettings`
    :param others: names of the other stores
    :raises: BadStoreConfiguration
    """
    if not others:
        return
    missing = [] if settings.volume_type else ['cinder_volume_type']
    if not settings.has_own_login:
        missing += _PASSWORD
    if missing:
        raise exceptions.BadStoreConfiguration(
            store_name=settings.store,
            reason=f'{_listed(missing)} must be set, because other stores '
                   f'keep images in Cinder too: {", ".join(sorted(others))}',
        )


def doubts(settings):
    """Yield sentences about what works, but is hardly meant."""
    path = settings.options.rootwrap_config
    if not os.path.isfile(path):
        yield (
            f'rootwrap_config {path} does not exist: no volume can be '
            'attached that needs a command run as root'
        )
    if settings.verify is False:
        yield (
            'cinder_api_insecure is true: anybody on the way can read and '
            'change what is sent to Keystone and Cinder'
        )


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
    given = options.cinder_catalog_info
    parts = given.split(':')
    interface = parts[-1].removesuffix('URL')
    if len(parts) != 3 or not parts[0] or interface not in INTERFACES:
        raise ValueError(
            'cinder_catalog_info must have the form '
            f'<service type>:<service name>:<interface>, and is {given!r}'
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
