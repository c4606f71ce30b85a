# SPDX-License-Identifier: Apache-2.0

"""A container of Swift, as the user of a store may use it.

It needs swiftclient.
"""

import contextlib
import dataclasses
import json
import threading
import urllib.parse

from glance_store import exceptions

from glance_copy_plugin.backends import object_container
from glance_copy_plugin.backends import swift_account
from glance_copy_plugin.backends import swift_objects

_CHUNK = 1024 * 1024
# What Swift allows unless it is configured to another number.
_USUAL_SEGMENTS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """An object, or a part of one that has several.

    :param size: bytes
    :param etag: md5, without quotes
    """

    container: str
    key: str
    size: int
    etag: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What the server tells of an object.

    :param size: bytes
    :param etag: without quotes; the md5 of what is not segmented
    :param dynamic: (container, prefix) of its segments, or None
    :param static: it has a list of segments
    """

    size: int
    etag: str
    dynamic: tuple[str, str] | None
    static: bool

    @property
    def is_segmented(self):
        """True for a manifest."""
        return self.static or self.dynamic is not None


class Container(object_container.ObjectContainer):
    """A container of an account.

    :param driver: glance_store's driver for Swift, of a store whose user asks
    :param name: that of the store's images without one
    :param storage_url: of another account, which this user may read
    :param login: glance_store's connection manager, if there is one
    """

    kind, made_by = 'container', 'swift_store_create_container_on_put'

    def __init__(self, driver, name=None, storage_url=None, login=None):
        super().__init__(
            name or driver.store_conf.swift_store_container,
            getattr(driver.store_conf, self.made_by),
        )
        self._driver = driver
        self._login = login or swift_account.login(driver)
        self.storage_url = storage_url or self._login.storage_url
        self._own = threading.local()
        self._connections = []

    @property
    def account(self):
        """The name of the account."""
        return urllib.parse.unquote(
            self.storage_url.rstrip('/').rpartition('/')[2]
        )

    def beside(self, name, storage_url=None):
        """Return another container, for the same user to ask."""
        return Container(
            self._driver, name, storage_url or self.storage_url, self._login
        )

    def close(self):
        """Close its connections."""
        for each in self._connections:
            each.close()

    @property
    def _client(self):
        """The connection of this thread, with a token that is valid."""
        token = self._login.get_connection().token
        if getattr(self._own, 'token', None) != token:
            self._own.token = token
            self._own.client = self._driver.get_store_connection(
                token, self.storage_url
            )
            self._connections.append(self._own.client)
        return self._own.client

    def exists(self):
        """True if there is this container."""
        try:
            with swift_account.told(self.name):
                self._client.head_container(self.name)
        except exceptions.NotFound:
            return False
        return True

    def make(self):
        """Make it, unless it is there."""
        with swift_account.told(self.name):
            self._client.put_container(self.name)

    def find(self, key):
        """Return what is :class:`Found`; None if there is no such object."""
        try:
            with swift_account.told(self.name):
                answer = self._client.head_object(self.name, key)
        except exceptions.NotFound:
            return None
        dynamic = answer.get('x-object-manifest')
        return Found(
            size=int(answer.get('content-length', 0)),
            etag=answer.get('etag', '').strip('"'),
            dynamic=dynamic and _named(dynamic),
            static=answer.get('x-static-large-object', '').lower() == 'true',
        )

    def read(self, key, offset=0):
        """Yield the bytes of an object from ``offset`` on.

        :raises NotFound: if there is no such object
        """
        # There is no range in an object without bytes.
        headers = {'Range': f'bytes={offset}-'} if offset else {}
        with swift_account.told(self.name):
            _headers, body = self._client.get_object(
                self.name, key, resp_chunk_size=_CHUNK, headers=headers
            )
        with contextlib.closing(body), swift_account.told(self.name):
            yield from body

    def put(self, key, contents, size):
        """Make an object of what can be read once; return its Segment."""
        with swift_account.told(self.name):
            client = self._client
            # It would say that it cannot try again, and not why.
            client.retries, retries = 0, client.retries
            try:
                etag = client.put_object(
                    self.name, key, contents, content_length=size,
                    content_type='application/octet-stream',
                )
            finally:
                client.retries = retries
        return self._segment(key, size, etag)

    def copy(self, source, segment, key):
        """Have the server copy a :class:`Segment`; return the new one.

        :param source: :class:`Container` that says in which account it is
        """
        path = urllib.parse.quote(f'{segment.container}/{segment.key}')
        with swift_account.told(self.name):
            etag = self._client.put_object(
                self.name, key, b'', headers={
                    'X-Copy-From': path,
                    'X-Copy-From-Account': urllib.parse.quote(source.account),
                },
            )
        return self._segment(key, segment.size, etag)

    def most_segments(self):
        """Return how many segments an object may have; 0 if there are none.
        """
        try:
            with swift_account.told(self.name):
                known = self._client.get_capabilities()
        except (exceptions.Forbidden, exceptions.NotFound):
            # It keeps that to itself.
            return _USUAL_SEGMENTS
        return known.get('slo', {}).get('max_manifest_segments', 0)

    def put_manifest(self, key, segments):
        """Make an object of segments; the server compares their ETags."""
        entries = json.dumps([
            {'path': f'/{each.container}/{each.key}', 'etag': each.etag,
             'size_bytes': each.size}
            for each in segments
        ])
        with swift_account.told(self.name):
            self._client.put_object(
                self.name, key, entries, query_string='multipart-manifest=put',
                content_type='application/octet-stream',
            )

    def segments(self, key, found):
        """Return the objects that have the bytes of what was found.

        :raises ValueError: if they cannot be used one by one
        """
        if found.dynamic is not None:
            container, prefix = found.dynamic
            with contextlib.closing(self.beside(container)) as other:
                return other.listed(prefix)
        if found.static:
            return [_segment(each) for each in self.manifest(key)]
        return [self._segment(key, found.size, found.etag)] * bool(found.size)

    def manifest(self, key):
        """Return the entries of the static list of segments of an object."""
        with swift_account.told(self.name):
            _headers, body = self._client.get_object(
                self.name, key, query_string='multipart-manifest=get'
            )
        return json.loads(body)

    def listed(self, prefix=''):
        """Return :class:`Segment` objects for all that begin so.

        There are none if there is no container.
        """
        try:
            with swift_account.told(self.name):
                _headers, found = self._client.get_container(
                    self.name, prefix=prefix, full_listing=True
                )
        except exceptions.NotFound:
            return []
        return [
            self._segment(each['name'], each['bytes'], each['hash'])
            for each in found
        ]

    def _segment(self, key, size, etag):
        return Segment(
            container=self.name, key=key, size=size, etag=etag.strip('"')
        )

    def names(self, prefix):
        """Return the names of the account's containers that begin so."""
        with swift_account.told(self.name):
            _headers, found = self._client.get_account(
                prefix=prefix, full_listing=True
            )
        return [each['name'] for each in found]

    def remove(self, key):
        """Remove an object, not its segments; it may be gone already."""
        with (
            contextlib.suppress(exceptions.NotFound),
            swift_account.told(self.name),
        ):
            self._client.delete_object(self.name, key)

    def remove_segments(self, prefix):
        """Remove all segments with that prefix."""
        for each in self.listed(prefix):
            if (swift_objects.prefix_of(each.key) or ('', ''))[1] == prefix:
                self.remove(each.key)


@contextlib.contextmanager
def opened(driver, name=None):
    """Yield the :class:`Container` of a store."""
    with contextlib.closing(Container(driver, name)) as container:
        yield container


def _named(manifest):
    """Return (container, prefix) of a dynamic manifest."""
    container, _, prefix = urllib.parse.unquote(manifest).partition('/')
    return container, prefix


def _segment(entry):
    """Return the :class:`Segment` of an entry in a manifest."""
    if 'range' in entry or entry.get('sub_slo') or 'name' not in entry:
        raise ValueError('its manifest has more than whole segments')
    container, _, key = entry['name'].lstrip('/').partition('/')
    return Segment(
        container=container, key=key, size=entry['bytes'],
        etag=entry['hash'],
    )
