# SPDX-License-Identifier: Apache-2.0

"""The containers of the benchmark with a real OpenStack."""

import hashlib

from tests.cloud import containers
from tests.cloud.services import conf
from tests.cloud.services import identity
from tools import images

STORES = ('swift-a', 'swift-b')


class Containers:
    """The containers of the stores in Swift.

    :param cloud: ``Cloud``
    """

    def __init__(self, cloud):
        self._place = cloud.place
        self._containers = containers.Containers(cloud)
        self._made = {
            store: self._containers.make(f'bench-{store}')
            for store in STORES
        }

    def name(self, store):
        """Return the name of a store's container."""
        return self._made[store].name

    def stores(self):
        """Return {store: its options}."""
        return {
            store: {'driver': 'swift', **self._containers.options(container)}
            for store, container in self._made.items()
        }

    def login(self):
        """Return what ``rclone`` has to know."""
        user = containers.WRITER
        return {
            'type': 'swift', 'auth': self._place.url('keystone', '/v3'),
            'user': identity.account_of(self._place, user),
            'key': identity.password_of(self._place, user),
            'tenant': identity.project_of(self._place, user),
            'domain': conf.DOMAIN, 'tenant_domain': conf.DOMAIN,
            'region': conf.REGION,
        }

    def hash_of(self, store, key):
        """Return the hash of an object."""
        found = hashlib.sha512()
        _headers, body = self._containers.client.get_object(
            self.name(store), key, resp_chunk_size=images.MIB
        )
        for chunk in body:
            found.update(chunk)
        return found.hexdigest()

    def discard(self, name):
        """Remove ``container/object``."""
        container, _, key = name.partition('/')
        self._containers.client.delete_object(container, key)

    def remove(self):
        """Remove the containers with all that is in them."""
        for container in self._made.values():
            container.empty()
            self._containers.client.delete_container(container.name)
