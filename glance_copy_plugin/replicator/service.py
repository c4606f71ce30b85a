# SPDX-License-Identifier: Apache-2.0

"""One Image service: the requests of the v2 API that are needed here.

A request that failed for want of a connection, or that the server asks to
repeat, is repeated if that can do no harm.
"""

import json
import logging
import re
import urllib.parse

from keystoneauth1 import exceptions as auth_exceptions
import openstack.exceptions
import requests
import tenacity

from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import text

LOG = logging.getLogger(__name__)

_PATCH = 'application/openstack-images-v2.1-json-patch'
_PASSING = (429, 500, 502, 503, 504)
_TIMEOUT = (20, 300)  # to connect, and between two bytes; seconds
_UPLOAD_TIMEOUT = (20, 3600)  # a store may have much to do at the end
_PAGE = 100
# Of a body without a length uWSGI refuses parts of a MiB and more.
_PART = 64 * 1024
_ERRNO = re.compile(r"""\[Errno -?\d+\] ([^'")>]+)""")
_UNTRUSTED = (auth_exceptions.SSLError, requests.exceptions.SSLError)
_AWAY = (
    auth_exceptions.ConnectFailure,
    auth_exceptions.ConnectTimeout,
    auth_exceptions.UnknownConnectionError,
    requests.RequestException,
    OSError,
)


class ImageService:
    """Speaks to one Glance as one user. Safe to use from any thread.

    :param adapter: a keystoneauth adapter, such as openstacksdk's
    :param name: how the user calls it
    :param attempts: how often a request is sent that may be repeated
    """

    def __init__(self, adapter, name, attempts=4):
        self._adapter = adapter
        self.name = name
        self.attempts = attempts

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
        """Make a record; return it as the server has it."""
        return self._send('POST', '/images', json=record).json()

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
        """Begin to read the data; return the answer, not read yet."""
        headers = {'Range': f'bytes={offset}-'} if offset else {}
        answer = self._send(
            'GET', f'/images/{image_id}/file', stream=True, log=False,
            headers={'Accept': 'application/octet-stream', **headers},
        )
        if offset and answer.status_code != 206:
            answer.close()
            raise errors.Refused(
                f'{self.name} cannot send an image from the middle on',
                answer.status_code,
            )
        return answer

    def upload(self, image_id, body, store=None):
        """Send the data, which can be read once only."""
        headers = {'Content-Type': 'application/octet-stream'}
        if store:
            headers['X-Image-Meta-Store'] = store
        self._send(
            'PUT', f'/images/{image_id}/file', data=_Parts(body),
            headers=headers, log=False, timeout=_UPLOAD_TIMEOUT,
        )

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

    def _send(self, method, path, *, repeat=False, **more):
        """Send a request; return the answer, which is a success.

        :param repeat: it does no harm to send it again
        """
        attempts = self.attempts if repeat else 1
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            retry=tenacity.retry_if_exception(_may_pass),
            reraise=True,
        ):
            with attempt:
                return self._send_once(method, path, **more)

    def _send_once(self, method, path, headers=None, **more):
        headers = {'Accept': 'application/json', **(headers or {})}
        try:
            answer = self._adapter.request(
                path, method, raise_exc=False, headers=headers,
                connect_retries=0, **{'timeout': _TIMEOUT, **more},
            )
        except (
            auth_exceptions.ClientException,
            openstack.exceptions.SDKException, *_AWAY,
        ) as exc:
            raise self._failure(exc) from exc
        if answer.status_code >= 300:
            raise errors.Refused(
                f'{self.name} answers {answer.status_code}: '
                f'{_reason(answer)}', answer.status_code,
            )
        return answer

    def _failure(self, exc):
        if isinstance(exc, _UNTRUSTED):
            return errors.ReplicatorError(
                f'The certificate of {self.name} cannot be verified; a '
                f'certificate to trust is named with --cacert'
            )
        if isinstance(exc, _AWAY):
            return errors.Unreachable(
                f'{self.name} cannot be reached: {_cause(exc)}'
            )
        return errors.ReplicatorError(
            f'{self.name} does not let you in: {text.safe(exc)}'
        )


class _Parts:
    """What a body yields, in parts that any server takes.

    Whoever begins to read it again begins to read the body again, which
    tells whether that can be.
    """

    def __init__(self, body):
        self._body = body

    def __iter__(self):
        for chunk in self._body:
            for begin in range(0, len(chunk), _PART):
                yield chunk[begin:begin + _PART]


def _cause(exc):
    """Return what the system said, else what the libraries say."""
    found = _ERRNO.search(str(exc))
    return text.safe(found[1] if found else exc)


def _may_pass(exc):
    return isinstance(exc, errors.Unreachable) or (
        isinstance(exc, errors.Refused) and exc.status in _PASSING
    )


def _reason(answer):
    """Return what an answer that is a failure says, without its tags."""
    try:
        found = answer.json()
        message = found.get('message') or found['title']
    except (ValueError, KeyError, AttributeError):
        message = answer.text if len(answer.content) < 2000 else answer.reason
    plain = ' '.join(str(message).replace('<br />', ' ').split())
    return text.safe(plain or answer.reason)
