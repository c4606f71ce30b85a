# SPDX-License-Identifier: Apache-2.0

"""Configuration files and groups that several services have in common."""

from tests.harness import config

REGION = 'RegionOne'
DOMAIN = 'Default'
SERVICE_PROJECT = 'service'


def write(place, path, groups):
    """Write ``{group: {option: value}}``, readable for us alone."""
    place.write_private(path, '')
    config.write_conf(path, groups)


def credentials(place, user):
    """Return the options with which a service logs in at Keystone."""
    return {
        'auth_type': 'password',
        'auth_url': place.url('keystone', '/v3'),
        'username': user,
        'password': place.password(user),
        'project_name': SERVICE_PROJECT,
        'user_domain_name': DOMAIN,
        'project_domain_name': DOMAIN,
    }


def authtoken(place, user):
    """Return the options with which a service checks tokens."""
    return {
        **credentials(place, user),
        'www_authenticate_uri': place.url('keystone', '/v3'),
        'region_name': REGION,
        'service_token_roles_required': 'true',
        'service_token_roles': 'service',
    }
