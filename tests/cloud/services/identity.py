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
    'swift': (conf.SERVICE_PROJECT, ('service', 'member')),
    # A second account for a store, in a project of its own.
    'glance2': ('images2', ('member',)),
    'demo': ('demo', ('member',)),
}
SERVICES = (
    ('image', 'glance', ''),
    ('block-storage', 'cinder', '/v3'),
)
# Those who own what tests make; each share has its own of them.
OWNERS = ('glance', 'glance2', 'demo')
INTERFACES = ('public', 'internal', 'admin')
TIMEOUT = 300  # seconds for an answer, more than Cinder waits for its own


def account_of(place, user):
    """Return what Keystone calls a user, who may be that of a share."""
    return user + place.share if user in OWNERS else user


def password_of(place, user):
    """Return the password of a user, who may be that of a share."""
    return place.password(account_of(place, user))


def project_of(place, user):
    """Return the name of a user's project."""
    if user not in USERS:
        return user
    if user in OWNERS and place.share:
        return f'project-of-{account_of(place, user)}'
    return USERS[user][0]


def new_session(place, user='admin'):
    """Return a keystoneauth session of a user in its project."""
    return session.Session(v3.Password(
        place.url('keystone', '/v3'),
        username=account_of(place, user),
        password=password_of(place, user),
        project_name=project_of(place, user),
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
        _create_users(place, identity, USERS)
    for kind, name, suffix in SERVICES:
        create_service(place, kind, name, place.url(name, suffix))


def create_share(place):
    """Make what is missing of the users of a share."""
    step = f'keystone-users{place.share}'
    if not place.is_done(step):
        with connect(place) as cloud:
            _create_users(place, cloud.identity, OWNERS)
        place.done(step)


def _create_users(place, identity, users):
    for user in users:
        project_name, name = project_of(place, user), account_of(place, user)
        project = identity.find_project(project_name)
        if project is None:
            project = identity.create_project(
                name=project_name, domain_id='default'
            )
        account = identity.find_user(name)
        if account is None:
            account = identity.create_user(
                name=name, domain_id='default',
                password=place.password(name),
            )
        for name in USERS[user][1]:
            role = identity.find_role(name) or identity.create_role(name=name)
            identity.assign_project_role_to_user(project, account, role)


def create_service(place, kind, name, url):
    """Make what is missing of a service in the catalogue."""
    with connect(place) as cloud:
        _create_service(cloud.identity, kind, name, url)


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
