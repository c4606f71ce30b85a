# SPDX-License-Identifier: Apache-2.0

"""Who there is in Keystone, and sessions as each of them."""

from keystoneauth1 import session
from keystoneauth1.identity import v3
import openstack

from tests.cloud.services import conf

# {user: (project, roles)}; `admin` is made by Keystone itself.
USERS = {
    'glance': (conf.SERVICE_PROJECT, ('service', 'member')),
    'cinder': (conf.SERVICE_PROJECT, ('service', 'member')),
    # A second account for a store, in a project of its own.
    'glance2': ('images2', ('member',)),
    'demo': ('demo', ('member',)),
}
SERVICES = (
    ('image', 'glance', ''),
    ('block-storage', 'cinder', '/v3'),
)
INTERFACES = ('public', 'internal', 'admin')
TIMEOUT = 90  # seconds for an answer, more than Cinder waits for its own


def project_of(user):
    """Return the name of a user's project."""
    return USERS[user][0] if user in USERS else user


def new_session(place, user='admin'):
    """Return a keystoneauth session of a user in its project."""
    return session.Session(v3.Password(
        place.url('keystone', '/v3'),
        username=user,
        password=place.password(user),
        project_name=project_of(user),
        user_domain_name=conf.DOMAIN,
        project_domain_name=conf.DOMAIN,
    ), timeout=TIMEOUT)


def connect(place, user='admin'):
    """Return an openstacksdk connection of a user."""
    return openstack.connection.Connection(
        session=new_session(place, user), region_name=conf.REGION,
        compute_api_version='2', identity_api_version='3',
    )


def create(place):
    """Make what is missing of the users and the catalogue."""
    with connect(place) as cloud:
        identity = cloud.identity
        _create_users(place, identity)
        for kind, name, suffix in SERVICES:
            _create_service(
                identity, kind, name, place.url(name, suffix)
            )


def _create_users(place, identity):
    for user, (project_name, roles) in USERS.items():
        project = identity.find_project(project_name)
        if project is None:
            project = identity.create_project(
                name=project_name, domain_id='default'
            )
        account = identity.find_user(user)
        if account is None:
            account = identity.create_user(
                name=user, domain_id='default',
                password=place.password(user),
            )
        for name in roles:
            role = identity.find_role(name) or identity.create_role(name=name)
            identity.assign_project_role_to_user(project, account, role)


def _create_service(identity, kind, name, url):
    service = identity.find_service(name)
    if service is None:
        service = identity.create_service(type=kind, name=name)
    known = {
        endpoint.interface
        for endpoint in identity.endpoints(service_id=service.id)
    }
    for interface in set(INTERFACES) - known:
        identity.create_endpoint(
            service_id=service.id, interface=interface, url=url,
            region_id=conf.REGION,
        )


def application_credential(place, user, name):
    """Make an application credential; return its id and its secret."""
    with connect(place, user) as cloud:
        made = cloud.identity.create_application_credential(
            cloud.current_user_id, name
        )
    return made.id, made.secret
