# SPDX-License-Identifier: Apache-2.0

"""A real OpenStack on 127.0.0.1, below one folder, without systemd.

Ceph, RabbitMQ, MariaDB, Keystone, and Cinder with the backends ``fast`` and
``slow``, each in a pool of Ceph, and with the volume types ``glance-fast`` and
``glance-slow``, and ``glance-private``, which no project may use. Pools
``images-a`` and ``images-b`` are for rbd stores. It needs Debian 12 and root.

Two more Ceph clusters are started when they are needed, by
``cloud.start``: ``cloud.edge``, and ``cloud.far`` at the end of a slow
link.

By hand: ``make cloud``, and ``make cloud-down``; or ``python -m
tests.cloud.services up|down|status [--folder DIR]``. Tests find it running
and leave it so. Logs are in ``logs`` below the folder.

Each process of tests has accounts, pools and a region of its own: the first
free share of the cloud. ``Place.share`` ends their names. So a test may say
that its users have one volume, but not that a pool of Cinder is empty.

In a test below ``tests/cloud``::

    pytestmark = pytest.mark.usefixtures('nothing_left')

    def test_something(cloud, start_glance, as_user, block):
        server = start_glance('mine', {
            'local': stores.file(),
            'fast': stores.cinder(cloud, 'glance-fast'),
            'other': stores.cinder(cloud, 'glance-slow', user='glance2'),
        })
        client = as_user(server, 'admin')
        image_id = client.create_image(b'data')
        assert client.copy_and_wait(image_id, ['fast'])['status'] == 'success'
        assert block('glance').volumes.list()
        print(cloud.ceph.run('rbd', 'ls', 'fast'))  # of all shares
        client.delete(image_id)

Users are ``admin``, ``glance``, ``glance2`` in a project of its own, and
``demo``; ``cloud.session(user)`` is a keystoneauth session of any of them.
Who calls ``new_pools.make(...)`` names them in the fixture ``own_pools``, if
``nothing_left`` is to look into them.
"""

from tests.cloud.services.cloud import Cloud
from tests.cloud.services.errors import CloudError
from tests.cloud.services.errors import Unavailable
from tests.cloud.services.glance import CloudGlance

__all__ = ['Cloud', 'CloudError', 'CloudGlance', 'Unavailable']
