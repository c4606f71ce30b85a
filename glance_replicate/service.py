# SPDX-License-Identifier: Apache-2.0

"""One Image service: the requests of the v2 API that are needed here."""

import collections.abc
import dataclasses
import json
import re
import urllib.parse

from glance_replicate import errors
from glance_replicate import transport

_PATCH = 'application/openstack-images-v2.1-json-patch'
# The first one holds while data are sent, too; and a store may have much to
# do at the end.
_UPLOAD_TIMEOUT = (300, 3600)
_PAGE = 100
# Of a body without a length uWSGI refuses parts of a MiB and more.
_PART = 64 * 1024
_RANGE = re.compile(r'bytes (\d+)-')


class ImageService:
    """Speaks to one Glance as one user. Safe to use from any thread.

    :param adapter: a keystoneauth adapter, such as openstacksdk's
    :param name: how the user calls it
    :param retries: :class:`Retries`
    """

    def __init__(self, adapter, name, retries):
        self.name = name
        self.retries = retries
        self._send = transport.Transport(adapter, name, retries).send

    def images(self, **filters):
        """Yield the records of all images that match, page by page.

        :param filters: names and values as the API has them; a list is sent
            as several values
        """
        query = urllib.parse.urlencode(
            {'limit': _PAGE, **filters}, doseq=True
        )
        path = f'/images?{query}'
        while path:
            page = self._json('GET', path, 'images')
            yield from page['images']
            path = page.get('next', '').removeprefix('/v2')

    def image(self, image_id):
        """Return the record of an image, or None."""
        try:
            return self._json('GET', f'/images/{image_id}', 'status')
        except errors.Refused as exc:
            if exc.status == 404:
                return None
            raise

    def create(self, record):
        """Make a record, which has an id; return it as the server has it.

        A conflict may mean that it was made before an answer got lost.
        """
        return self._send('POST', '/images', repeat=True, json=record).json()

    def patch(self, image_id, changes):
        """Change a record; return it as the server has it then."""
        return self._send(
            'PATCH', f'/images/{image_id}', repeat=True,
            data=json.dumps(changes), headers={'Content-Type': _PATCH},
        ).json()

    def delete(self, image_id):
        """Delete an image, unless it is gone."""
        try:
            self._send('DELETE', f'/images/{image_id}', repeat=True)
        except errors.Refused as exc:
            if exc.status != 404:
                raise

    def open(self, image_id, offset=0):
        """Begin to read the data, from an offset on if the server can.

        Glance cannot for stores that cannot seek, and some proxies neither.

        :returns: the answer, not read yet, and the offset that it begins at
        """
        headers = {'Range': f'bytes={offset}-'} if offset else {}
        try:
            answer = self._send(
                'GET', f'/images/{image_id}/file', stream=True, log=False,
                headers={
                    'Accept': 'application/octet-stream',
                    # Of anything else the offsets would be others.
                    'Accept-Encoding': 'identity', **headers,
                },
            )
        except errors.Refused as exc:
            if not offset or (exc.may_pass and exc.status != 500):
                raise
            return self.open(image_id)
        begin = _begin(answer, offset)
        if begin in (0, offset):
            return answer, begin
        answer.close()
        if begin is None:
            raise errors.Refused(
                f'{self.name} has no data of it in any store',
                answer.status_code,
            )
        return self.open(image_id)

    def upload(self, image_id, body, size=None, store=None):
        """Send the data, which can be read once only.

        :param size: bytes of the body, or None if that is not known
        """
        headers = {'Content-Type': 'application/octet-stream'}
        if size is not None:
            # Whoever passes it on may do so without the length.
            headers['X-OpenStack-Image-Size'] = str(size)
        if store:
            headers['X-Image-Meta-Store'] = store
        try:
            self._send(
                'PUT', f'/images/{image_id}/file', data=_body(body, size),
                headers=headers, log=False, timeout=_UPLOAD_TIMEOUT,
            )
        except errors.Refused as exc:
            # What was sent before may not have come to its end there.
            exc.may_pass |= exc.status == 409
            raise

    def members(self, image_id):
        """Return the projects that an image is shared with, as a set."""
        found = self._json(
            'GET', f'/images/{image_id}/members', 'members'
        )['members']
        return {member['member_id'] for member in found}

    def add_member(self, image_id, project):
        """Share an image with one more project."""
        try:
            self._send(
                'POST', f'/images/{image_id}/members', repeat=True,
                json={'member': project},
            )
        except errors.Refused as exc:
            if exc.status != 409:
                raise

    def schema(self):
        """Return the JSON schema of images, as the service has it."""
        return self._json('GET', '/schemas/image', 'properties')

    def stores(self):
        """Return the names of the stores that the service tells users of."""
        found = self._json('GET', '/info/stores', 'stores')['stores']
        return [store['id'] for store in found if not store.get('read-only')]

    def copy(self, image_id, stores):
        """Ask for a copy of an image into further stores of its cloud.

        It waits for the copies that users ask for, where anything waits. An
        image is copied once at a time: asking again does no harm.
        """
        self._send('POST', f'/images/{image_id}/import', repeat=True, json={
            'method': {'name': 'copy-image', 'priority': 'low'},
            'stores': list(stores), 'all_stores_must_succeed': False,
        })

    def tasks(self, image_id):
        """Return the tasks of an image, oldest first."""
        found = self._json(
            'GET', f'/images/{image_id}/tasks', 'tasks'
        )['tasks']
        return sorted(found, key=lambda task: task['created_at'])

    def locations(self, image_id):
        """Return where an image is: a list of {url, metadata}."""
        return self._json('GET', f'/images/{image_id}/locations', list)

    def add_location(self, image_id, url, validation):
        """Let an image without data be what is at a URL."""
        self._send('POST', f'/images/{image_id}/locations', json={
            'url': url, 'validation_data': validation,
        })

    def _json(self, method, path, expected):
        """Return what an answer says.

        :param expected: a key that it has to have, or its type
        """
        answer = self._send(method, path, repeat=True)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if found is None or (
            not isinstance(found, expected) if isinstance(expected, type)
            else expected not in found
        ):
            raise errors.Refused(
                f'{self.name} does not answer as an Image service does',
                answer.status_code,
            )
        return found


def _body(body, size):
    """Return what the HTTP library is to send.

    Whoever begins to read it again begins to read the body again, which
    tells whether that can be.
    """
    if size is None:
        return _Parts(body)
    # An iterable without bytes would be sent as one of unknown length.
    return _Sized(body, size) if size else b''.join(body)


@dataclasses.dataclass(frozen=True)
class _Sized:
    """A body whose length is told before it is sent."""

    body: collections.abc.Iterable
    len: int

    def __iter__(self):
        return iter(self.body)


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What a body of unknown length yields, in parts that any server takes."""

    body: collections.abc.Iterable

    def __iter__(self):
        for chunk in self.body:
            for begin in range(0, len(chunk), _PART):
                yield chunk[begin:begin + _PART]


def _begin(answer, offset):
    """Return where the data of an answer begin, or None if it has none."""
    if answer.status_code == 206:
        found = _RANGE.match(answer.headers.get('Content-Range', ''))
        return int(found[1]) if found else offset
    return 0 if answer.status_code == 200 else None
