# SPDX-License-Identifier: Apache-2.0

"""One Image service: the requests of its v2 API that are used here."""

import json
import re
import urllib.parse

from glance_replicate import errors
from glance_replicate import transport

_PATCH = 'application/openstack-images-v2.1-json-patch'
# To connect and while data is sent; and until a store has taken it all.
_UPLOAD_TIMEOUT = (300, 3600)
_PAGE = 100
_PART = 64 * 1024
_RANGE = re.compile(r'bytes (\d+)-')


class ImageService:
    """Speaks to one Glance as one user. Safe to use from any thread.

    :param adapter: a keystoneauth adapter, such as openstacksdk's
    :param name: its name in messages
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
            page = self._json(path, 'images')
            yield from page['images']
            path = page.get('next', '').removeprefix('/v2')

    def image(self, image_id):
        """Return the record of an image, or None."""
        return self._json(f'/images/{image_id}', 'status', ignore=404)

    def create(self, record):
        """Create a record, which has an id; return it as the server has it.

        A conflict may mean that the answer to the first request was lost.
        """
        return self._send('POST', '/images', repeat=True, json=record).json()

    def patch(self, image_id, changes):
        """Change a record; return it as the server has it then."""
        return self._send(
            'PATCH', f'/images/{image_id}', repeat=True,
            data=json.dumps(changes), headers={'Content-Type': _PATCH},
        ).json()

    def delete(self, image_id):
        """Delete an image, if it is there."""
        self._send('DELETE', f'/images/{image_id}', repeat=True, ignore=404)

    def open(self, image_id, offset=0):
        """Begin to read the data, from an offset on if the server can.

        Glance cannot for stores that cannot seek; nor can some proxies.

        :returns: the response, not read yet, and the offset it begins at
        """
        headers = {'Range': f'bytes={offset}-'} if offset else {}
        try:
            answer = self._send(
                'GET', f'/images/{image_id}/file', stream=True, log=False,
                headers={
                    'Accept': 'application/octet-stream',
                    # Offsets are those of the data, not of an encoding.
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
                f'{self.name} has no data of this image in any store',
                answer.status_code,
            )
        return self.open(image_id)

    def upload(self, image_id, body, size=None, store=None):
        """Upload the data.

        :param body: iterable of bytes, which can be read only once
        :param size: its length in bytes, or None if unknown
        :param store: to upload to, or None for the default one
        """
        headers = {'Content-Type': 'application/octet-stream'}
        if size is not None:
            # A proxy may pass the request on without Content-Length.
            headers['X-OpenStack-Image-Size'] = str(size)
        if store:
            headers['X-Image-Meta-Store'] = store
        try:
            self._send(
                'PUT', f'/images/{image_id}/file', headers=headers, log=False,
                # An empty iterable would be sent as one of unknown length.
                data=b''.join(body) if size == 0 else _Body(body, size),
                timeout=_UPLOAD_TIMEOUT,
            )
        except errors.Refused as exc:
            # The server may still be at work on an earlier upload.
            exc.may_pass |= exc.status == 409
            raise

    def members(self, image_id):
        """Return the projects that an image is shared with, as a set."""
        found = self._json(f'/images/{image_id}/members', 'members')
        return {member['member_id'] for member in found['members']}

    def add_member(self, image_id, project):
        """Share an image with one more project."""
        self._send(
            'POST', f'/images/{image_id}/members', repeat=True, ignore=409,
            json={'member': project},
        )

    def schema(self):
        """Return the JSON schema of images; {} if it is not shown."""
        try:
            return self._json('/schemas/image', 'properties')
        except errors.Refused:
            return {}

    def stores(self):
        """Return the names of the stores that can be written.

        :returns: None if the service has only one store
        """
        found = self._json('/info/stores', 'stores', ignore=404)
        return found and [
            store['id'] for store in found['stores']
            if not store.get('read-only')
        ]

    def copy(self, image_id, stores):
        """Request a copy-image into further stores, with a low priority.

        Glance copies an image once at a time: a repeated request does no
        harm.
        """
        self._send('POST', f'/images/{image_id}/import', repeat=True, json={
            'method': {'name': 'copy-image', 'priority': 'low'},
            'stores': list(stores), 'all_stores_must_succeed': False,
        })

    def tasks(self, image_id):
        """Return the tasks of an image, oldest first."""
        found = self._json(f'/images/{image_id}/tasks', 'tasks')
        return sorted(found['tasks'], key=lambda task: task['created_at'])

    def locations(self, image_id):
        """Return where an image is: a list of {url, metadata}."""
        return self._json(f'/images/{image_id}/locations')

    def add_location(self, image_id, url, validation):
        """Register a location as the data of an image that has none."""
        self._send('POST', f'/images/{image_id}/locations', json={
            'url': url, 'validation_data': validation,
        })

    def _json(self, path, key=None, ignore=None):
        """Return the JSON at a path; None for a status that is ignored.

        :param key: what the object must have; if None, it must be a list
        """
        answer = self._send('GET', path, repeat=True, ignore=ignore)
        if answer is None:
            return None
        try:
            found = answer.json()
        except ValueError:
            found = None
        if isinstance(found, dict) and key in found or (
            isinstance(found, list) and key is None
        ):
            return found
        raise errors.Refused(
            f'{self.name} does not answer like an Image service',
            answer.status_code,
        )


class _Body:
    """What the HTTP library is to send: it sends the length if it is known.

    Iterating it a second time iterates the body a second time, which knows
    whether that is possible.
    """

    def __init__(self, body, size):
        self._body = body
        # uWSGI refuses larger parts of a body without a length.
        self._part = _PART
        if size is not None:
            self.len = self._part = size

    def __iter__(self):
        for chunk in self._body:
            for begin in range(0, len(chunk), self._part):
                yield chunk[begin:begin + self._part]


def _begin(answer, offset):
    """Return the offset of the data in an answer, or None without data."""
    if answer.status_code == 206:
        found = _RANGE.match(answer.headers.get('Content-Range', ''))
        return int(found[1]) if found else offset
    return 0 if answer.status_code == 200 else None
