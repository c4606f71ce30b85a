# SPDX-License-Identifier: Apache-2.0

"""Connecting to an Image service: a cloud, OS_* variables, or a URL."""

import dataclasses
import ipaddress
import re
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as auth_exceptions
from keystoneauth1 import noauth
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
import openstack
import openstack.config
import openstack.exceptions

from glance_replicate import errors
from glance_replicate import service
from glance_replicate import text

ENVIRONMENT = ('env', 'envvars')
_HOST_PORT = re.compile(r'(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$')
_VERSION = re.compile(r'/v2/?$')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An Image service, as the user names it.

    :param name: a cloud of ``clouds.yaml`` or ``env`` for the ``OS_*``
        variables, either with or without ``/REGION``; a URL; or ``host:port``
    :param region: for a cloud named without one; if None, the first one of
        clouds.yaml or the catalog
    :param token: for a URL; never shown
    :param ca_file: certificates to trust instead of the system's
    :param insecure: do not verify the server's certificate
    """

    name: str
    region: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    ca_file: str | None = None
    insecure: bool = False


def connect(endpoint, warn, retries):
    """Return the :class:`ImageService` of an endpoint.

    :param warn: called with each sentence that the user has to know
    :param retries: :class:`Retries`
    :raises: :class:`ReplicatorError`
    """
    name = text.safe(endpoint.name)
    if endpoint.insecure:
        warn(f'The certificate of {name} is not verified.')
    url = url_of(endpoint.name)
    if url is not None:
        return service.ImageService(
            _by_url(url, endpoint, warn), name, retries
        )
    if endpoint.token:
        raise errors.ReplicatorError(
            f'A token can only be used with a URL; {name} is a cloud, whose '
            f'credentials are in clouds.yaml'
        )
    return _by_cloud(endpoint, retries)


def url_of(name):
    """Return the URL that a name means, or None if it names a cloud.

    :raises: :class:`ReplicatorError` if it is not valid, or has a password
    """
    if _HOST_PORT.match(name):
        name = f'http://{name}'
    if '://' not in name:
        return None
    try:
        parts = urllib.parse.urlsplit(name)
        has_place = parts.hostname and parts.port != 0
    except ValueError as exc:
        raise errors.ReplicatorError(f'Not a valid URL: {exc}') from None
    if parts.scheme not in ('http', 'https') or not has_place:
        raise errors.ReplicatorError(
            f'{text.safe(name)} is not the URL of an Image service: that '
            f'begins with https:// or http://'
        )
    if parts.username is not None or parts.password is not None:
        raise errors.ReplicatorError(
            'Do not put a user or password into the URL of an Image service: '
            'use a token, or a cloud of clouds.yaml'
        )
    path = _VERSION.sub('', parts.path)
    return f'{parts.scheme}://{parts.netloc}{path}'.rstrip('/')


def _by_url(url, endpoint, warn):
    if endpoint.token and url.startswith('http:') and not _is_local(url):
        warn(f'The token for {url} is sent without encryption.')
    if endpoint.token:
        auth = token_endpoint.Token(url, endpoint.token)
    else:
        auth = noauth.NoAuth(endpoint=url)
    verify = False if endpoint.insecure else endpoint.ca_file or True
    return adapter.Adapter(
        session.Session(auth=auth, verify=verify),
        service_type='image', endpoint_override=f'{url}/v2',
    )


def _is_local(url):
    host = urllib.parse.urlsplit(url).hostname
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _by_cloud(endpoint, retries):
    more = {}
    if endpoint.ca_file:
        more['cacert'] = endpoint.ca_file
    if endpoint.insecure:
        more['verify'] = False
    name = endpoint.name
    try:
        cloud, region = _cloud_and_region(name)
        if not region and endpoint.region:
            region = endpoint.region
            name = f'{name}/{region}'
        if cloud in ENVIRONMENT:
            cloud = 'envvars'
        return service.ImageService(
            with_version(_connection(cloud, region, more).image),
            text.safe(name), retries,
        )
    except (
        openstack.exceptions.SDKException, auth_exceptions.ClientException
    ) as exc:
        raise errors.ReplicatorError(
            f'Cannot use the cloud {text.safe(name)}: {text.safe(exc)}'
        ) from None


def _cloud_and_region(name):
    """Return the cloud that a name means, and its region or None."""
    if '/' not in name or name in (
        openstack.config.OpenStackConfig().get_cloud_names()
    ):
        return name, None
    cloud, _, region = name.rpartition('/')
    if not cloud or not region:
        raise errors.ReplicatorError(
            f'{text.safe(name)} is not CLOUD/REGION: one of them is missing'
        )
    return cloud, region


def _connection(cloud, region, more):
    if not region:
        return openstack.connect(cloud=cloud, **more)
    try:
        return openstack.connect(cloud=cloud, region_name=region, **more)
    except openstack.exceptions.ConfigException:
        # clouds.yaml does not list it; the catalog of the cloud may.
        return openstack.connect(
            cloud=cloud, image_region_name=region, **more
        )


def with_version(proxy):
    """Have openstacksdk's proxy of an Image service use the v2 API.

    Not every auth plugin discovers its URL.
    """
    endpoint = proxy.get_endpoint()
    if endpoint and not _VERSION.search(endpoint):
        proxy.endpoint_override = f'{endpoint.rstrip("/")}/v2'
    return proxy
