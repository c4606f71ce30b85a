# SPDX-License-Identifier: Apache-2.0

"""Where images come from and go to: clouds, the environment, or a URL."""

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
from glance_replicate import redirects
from glance_replicate import service
from glance_replicate import text

ENVIRONMENT = ('env', 'envvars')
_HOST_PORT = re.compile(r'(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$')
_VERSION = re.compile(r'/v2/?$')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One side of a copy, as the user names it.

    :param name: a cloud of ``clouds.yaml``, or ``env`` for the ``OS_*``
        variables, each with ``/REGION`` behind it or not; a URL; or
        ``host:port``
    :param region: of a cloud whose name has none behind it, or None for the
        one that clouds.yaml or the catalog has first
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
    """
    if endpoint.insecure:
        warn(f'The certificate of {text.safe(endpoint.name)} is not verified.')
    url = url_of(endpoint.name)
    if url is not None:
        return service_of(
            _by_url(url, endpoint, warn), endpoint.name, retries
        )
    if endpoint.token:
        raise errors.ReplicatorError(
            f'A token goes with a URL; {text.safe(endpoint.name)} names a '
            f'cloud, whose credentials are in clouds.yaml'
        )
    return _by_cloud(endpoint, retries)


def service_of(adapter, name, retries):
    """Return the :class:`ImageService` that an adapter speaks to.

    :param name: how the user calls it
    :param retries: :class:`Retries`
    """
    name = text.safe(name)
    return service.ImageService(
        redirects.Following(adapter, name), name, retries
    )


def url_of(name):
    """Return the URL that a name stands for, or None if it is a cloud's.

    :raises: :class:`ReplicatorError` if it holds a password
    """
    if _HOST_PORT.match(name):
        name = f'http://{name}'
    if '://' not in name:
        return None
    try:
        parts = urllib.parse.urlsplit(name)
        port = parts.port
    except ValueError as exc:
        raise errors.ReplicatorError(f'This URL is not valid: {exc}') from None
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise errors.ReplicatorError(
            f'{text.safe(name)} is not a URL of an Image service: it begins '
            f'with https:// or http://'
        )
    if parts.username is not None or parts.password is not None:
        raise errors.ReplicatorError(
            'The URL of an Image service holds no user and password: use a '
            'token, or a cloud of clouds.yaml'
        )
    host = f'[{parts.hostname}]' if ':' in parts.hostname else parts.hostname
    place = host if port is None else f'{host}:{port}'
    return f'{parts.scheme}://{place}{_VERSION.sub("", parts.path)}'.rstrip(
        '/'
    )


def _by_url(url, endpoint, warn):
    if endpoint.token and url.startswith('http:') and not _is_local(url):
        warn(f'The token for {url} goes over the network without encryption.')
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
        return service_of(
            with_version(_connection(cloud, region, more).image), name,
            retries,
        )
    except (
        openstack.exceptions.SDKException, auth_exceptions.ClientException
    ) as exc:
        raise errors.ReplicatorError(
            f'The cloud {text.safe(name)} cannot be used: {text.safe(exc)}'
        ) from None


def _cloud_and_region(name):
    """Return what a name means: a cloud, and a region of it or None."""
    if '/' not in name or name in (
        openstack.config.OpenStackConfig().get_cloud_names()
    ):
        return name, None
    cloud, _, region = name.rpartition('/')
    if not cloud or not region:
        raise errors.ReplicatorError(
            f'{text.safe(name)} is not CLOUD/REGION: a name is missing'
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
    """Let openstacksdk's proxy of an Image service speak to its v2 API.

    Not every way to log in finds out by itself where that is.
    """
    endpoint = proxy.get_endpoint()
    if endpoint and not _VERSION.search(endpoint):
        proxy.endpoint_override = f'{endpoint.rstrip("/")}/v2'
    return proxy
