# SPDX-License-Identifier: Apache-2.0

"""Containers of Swift for one process of tests, and stores in them."""

import json

from oslo_utils import uuidutils
import pytest
import swiftclient

from tests.cloud.services import conf
from tests.cloud.services import identity
from tests.stores import conformance

WRITER, READER = 'glance', 'demo'


class Containers:
    """Makes containers in the account of the first user.

    :param cloud: ``Cloud``
    """

    def __init__(self, cloud):
        cloud.start(cloud.swift)
        self._cloud = cloud
        self.client = self.connect(WRITER)
        self.account = self.client.get_auth()[0].rpartition('/')[2]

    def connect(self, user):
        """Return a client of Swift as a user."""
        return swiftclient.Connection(
            session=self._cloud.session(user),
            os_options={'region_name': conf.REGION},
        )

    def make(self, name):
        """Make a container that the second user may read, or empty it."""
        reader = identity.project_of(self._cloud.place, READER)
        project = self._cloud.session(READER).get_project_id()
        container = Container(self.client, name)
        self.client.put_container(name, headers={
            'X-Container-Read': f'{reader}:*,{project}:*,.rlistings',
        })
        container.empty()
        return container

    def options(self, container, user=WRITER, server=None, **more):
        """Return the options of a store in a container.

        :param server: ``Swift`` that the store uses, and its account
        """
        place = self._cloud.place
        project = identity.project_of(place, user)
        server = server or self._cloud.swift
        return {
            'swift_store_auth_address': place.url('keystone', '/v3'),
            'swift_store_user':
                f'{project}:{identity.account_of(place, user)}',
            'swift_store_key': self._cloud.password(user),
            'swift_store_region': conf.REGION,
            'swift_store_container': container.name,
            'swift_store_endpoint': f'{server.url}/v1/{self.account}',
            **more,
        }


class Container:
    """A container, as its owner sees it."""

    def __init__(self, client, name):
        self._client = client
        self.name = name

    def url(self, key):
        """Return a location without credentials of an object."""
        return f'swift+config://ref1/{self.name}/{key}'

    def keys(self):
        """List all objects."""
        _headers, found = self._client.get_container(
            self.name, full_listing=True
        )
        return [each['name'] for each in found]

    def put(self, key, content, **headers):
        """Make an object; return its URL."""
        self._client.put_object(self.name, key, content, headers=headers)
        return self.url(key)

    def put_segments(self, key, content, size):
        """Make segments as glance_store's driver calls them."""
        for number, start in enumerate(range(0, len(content), size), 1):
            self.put(f'{key}-{number:05}', content[start:start + size])

    def put_dynamic(self, key, content, size):
        """Make an object of segments as glance_store's driver does."""
        self.put_segments(key, content, size)
        return self.put(key, b'', **{
            'X-Object-Manifest': f'{self.name}/{key}-',
        })

    def put_static(self, key, entries):
        """Make an object with a list of segments; return its URL."""
        self._client.put_object(
            self.name, key, json.dumps(entries),
            query_string='multipart-manifest=put',
        )
        return self.url(key)

    def content(self, key):
        """Return the bytes of an object."""
        return self._client.get_object(self.name, key)[1]

    def head(self, key):
        """Return the headers of an object."""
        return self._client.head_object(self.name, key)

    def segments(self, key):
        """Return the names of an object's segments in this container."""
        head = self.head(key)
        if prefix := head.get('x-object-manifest', '').partition('/')[2]:
            return [each for each in self.keys() if each.startswith(prefix)]
        if 'x-static-large-object' not in head:
            return []
        _headers, found = self._client.get_object(
            self.name, key, query_string='multipart-manifest=get'
        )
        return [
            each['name'].rpartition('/')[2] for each in json.loads(found)
        ]

    def limit(self, count):
        """Let it have so many bytes; no limit if it is empty."""
        self._client.post_container(
            self.name, {'X-Container-Meta-Quota-Bytes': str(count)}
        )

    def remove(self, key):
        """Remove an object, not its segments."""
        self._client.delete_object(self.name, key)

    def empty(self):
        """Remove everything."""
        for key in self.keys():
            self.remove(key)


class SwiftTarget(conformance.Target):
    """A Swift store with a container of its own."""

    def __init__(self, name, container, refuse):
        super().__init__(name)
        self.container = container
        self.refuse_writing = refuse

    def content(self, url):
        return self.container.content(url.rpartition('/')[2])

    def objects(self):
        """Count the segments of an image with it."""
        keys = self.container.keys()
        used = [
            segment for key in keys if uuidutils.is_uuid_like(key)
            for segment in self.container.segments(key)
        ]
        return [key for key in keys if key not in used]

    def plant(self, image_id, content):
        return self.container.put(image_id, content)

    def refuse_writing(self):
        """Let the store have the user that may only read."""


class InContainers:
    """Inherit this too; each store has a container of its own.

    ``large`` is the size in MiB from which on images are segmented.
    """

    large = 5

    @pytest.fixture
    def make(self, configured, containers):
        made = []

        def make_store(name):
            container = containers.make(f'conformance-{len(made)}')
            made.append(container)

            def configure(user=WRITER):
                configured(name, 'swift', **containers.options(
                    container, user, swift_store_large_object_size=self.large,
                    swift_store_large_object_chunk_size=2,
                ))

            configure()
            return SwiftTarget(name, container, lambda: configure(READER))

        yield make_store
        for container in made:
            container.limit('')
            container.empty()

    @pytest.fixture
    def make_full(self, make):
        def make_store(name):
            target = make(name)
            target.container.limit(1024 ** 2 - 1)
            return target

        return make_store
