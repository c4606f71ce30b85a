# SPDX-License-Identifier: Apache-2.0

"""The options of stores for a Glance: ``{'driver': ..., option: value}``."""

from tests.cloud.services import conf
from tests.cloud.services import identity

TIMEOUT = 300  # seconds that a volume may take for a change of its state


def file():
    """Return a store in a folder of the server's."""
    return {'driver': 'file'}


def cinder(cloud, volume_type, user='glance', driver='cinder', **more):
    """Return a store whose images are volumes of a type.

    :param user: who the volumes belong to
    :param driver: a driver with the options of the stock one
    :param more: more options
    """
    return {
        'driver': driver,
        'cinder_volume_type': volume_type,
        'cinder_store_auth_address': cloud.place.url('keystone', '/v3'),
        'cinder_store_user_name': identity.account_of(cloud.place, user),
        'cinder_store_password': cloud.password(user),
        'cinder_store_project_name': identity.project_of(cloud.place, user),
        'cinder_catalog_info': 'block-storage::publicURL',
        'cinder_os_region_name': conf.REGION,
        'cinder_state_transition_timeout': TIMEOUT,
        **more,
    }


def rbd(ceph, pool, **more):
    """Return a store in a pool of Ceph, with the user of that name.

    :param ceph: ``Ceph``
    """
    return {
        'driver': 'rbd',
        'rbd_store_pool': pool,
        'rbd_store_user': pool,
        'rbd_store_ceph_conf': ceph.conf,
        'rados_connect_timeout': 120,
        **more,
    }


def usual(cloud):
    """Return the stores of the Glance that is there to try things."""
    return {
        'local': file(),
        'fast': cinder(cloud, 'glance-fast'),
        'slow': cinder(cloud, 'glance-slow'),
        'images-a': rbd(cloud.ceph, 'images-a'),
        'images-b': rbd(cloud.ceph, 'images-b'),
    }
