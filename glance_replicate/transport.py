# SPDX-License-Identifier: Apache-2.0

"""Requests to one server: sent, repeated, redirected; errors in words.

A request that found no connection, or that the server asks to repeat, is
repeated if that can do no harm.
"""

import email.utils
import re
import urllib.parse

from keystoneauth1 import exceptions as auth_exceptions
import openstack.exceptions
import requests

from glance_replicate import errors
from glance_replicate import text

_TIMEOUT = (20, 300)  # to connect, and between two bytes; seconds
_REDIRECTS = (301, 302, 307, 308)
_MOST_REDIRECTS = 5
_ERRNO = re.compile(r"""\[Errno -?\d+\] ([^'")>]+)""")
_UNTRUSTED = (auth_exceptions.SSLError, requests.exceptions.SSLError)
_time = email.utils.parsedate_to_datetime
_AWAY = (
    auth_exceptions.ConnectFailure,
    auth_exceptions.ConnectTimeout,
    auth_exceptions.UnknownConnectionError,
    requests.RequestException,
    OSError,
)


class Transport:
    """Sends requests to one server as one user. Safe to use from any thread.

    :param adapter: a keystoneauth adapter, such as openstacksdk's
    :param name: the server's name in messages
    :param retries: :class:`Retries`
    """

    def __init__(self, adapter, name, retries):
        self._adapter = RedirectedAdapter(adapter, name)
        self._name = name
        self._retries = retries
        self._timeout = tuple(min(n, retries.timeout) for n in _TIMEOUT)
        self._has_answered = False

    def send(self, method, path, *, repeat=False, ignore=None, **more):
        """Send a request; return the response, which is a success.

        :param repeat: it does no harm to send it again
        :param ignore: a status of an error that is no error here; the
            response is None then
        :raises: :class:`ReplicatorError`
        """
        try:
            if repeat:
                return self._retries.call(
                    self._send_once, method, path, **more
                )
            return self._send_once(method, path, **more)
        except errors.Refused as exc:
            if exc.status == ignore:
                return None
            raise

    def _send_once(self, method, path, headers=None, **more):
        headers = {'Accept': 'application/json', **(headers or {})}
        try:
            answer = self._adapter.request(
                path, method, raise_exc=False, headers=headers,
                connect_retries=0, **{'timeout': self._timeout, **more},
            )
            self._has_answered = True
            if answer.status_code >= 300:
                raise self._refusal(answer)
        except (
            auth_exceptions.ClientException,
            openstack.exceptions.SDKException, *_AWAY,
        ) as exc:
            raise self._failure(exc) from exc
        return answer

    def _refusal(self, answer):
        status = answer.status_code
        return errors.Refused(
            f'{self._name} answers {status}: {_reason(answer)}', status,
            _pause(answer),
        )

    def _failure(self, exc):
        if isinstance(exc, _UNTRUSTED) and 'EOF' not in str(exc):
            return errors.ReplicatorError(
                f'The certificate of {self._name} cannot be verified; if you '
                f'trust the server, name its CA certificate with --cacert'
            )
        # The service that gives tokens may be away for a while, too.
        status = getattr(exc, 'http_status', None)
        if isinstance(exc, _AWAY) or status in errors.PASSING:
            return errors.Unreachable(
                f'{self._name} cannot be reached: {_cause(exc)}',
                self._has_answered,
            )
        return errors.ReplicatorError(
            f'Cannot log in to {self._name}: {text.safe(exc)}'
        )


class RedirectedAdapter:
    """An adapter that follows a redirect, and keeps to the new address.

    Without encryption it follows only to the same host: anybody on the way
    could have the token sent anywhere.

    :param adapter: a keystoneauth adapter
    :param name: the server's name in messages
    """

    def __init__(self, adapter, name):
        self._adapter = adapter
        self._name = name

    def request(self, path, method, **more):
        """Return the answer to a request, after redirects.

        :raises: :class:`Refused` if a redirect cannot be followed, and
            :class:`Unreachable` if it was, but the data cannot be read again
        """
        for _turn in range(_MOST_REDIRECTS):
            answer = self._adapter.request(
                path, method, redirect=False, **more
            )
            if answer.status_code not in _REDIRECTS:
                return answer
            answer.close()
            self._adapter.endpoint_override = self._moved(answer, path)
            if not isinstance(more.get('data', b''), (bytes, str)):
                raise errors.Unreachable(
                    f'{self._name} cannot be reached: it has moved to '
                    f'{text.safe(self._adapter.endpoint_override)}'
                )
        raise self._refused(answer, 'one of too many redirects')

    def _moved(self, answer, path):
        """Return the URL that a path of the service now begins with."""
        old = urllib.parse.urlsplit(answer.url)
        try:
            new = urllib.parse.urlsplit(urllib.parse.urljoin(
                answer.url, answer.headers['Location']
            ))
            host = new.hostname
        except (KeyError, ValueError):
            raise self._refused(answer, 'which is not a URL') from None
        if new.scheme != 'https' and new.scheme != old.scheme:
            raise self._refused(answer, 'which is not encrypted')
        if old.scheme != 'https' and host != old.hostname:
            raise self._refused(
                answer, 'another host, and this answer was not encrypted'
            )
        end = urllib.parse.urlsplit(path).path
        if not new.path.endswith(end):
            raise self._refused(answer, 'which is not an Image service')
        return f'{new.scheme}://{new.netloc}{new.path.removesuffix(end)}'

    def _refused(self, answer, reason):
        where = answer.headers.get('Location', '')
        return errors.Refused(
            f'{self._name} redirects ({answer.status_code}) to '
            f'{text.safe(where) or "nowhere"}, {reason}; give the URL of the '
            f'Image service itself, or set image_endpoint_override in '
            f'clouds.yaml', answer.status_code,
        )


def _cause(exc):
    """Return the message of the system, else that of the library."""
    found = _ERRNO.search(str(exc))
    return text.safe(found[1] if found else exc)


def _pause(answer):
    """Return how many seconds Retry-After says to wait, or None."""
    told = answer.headers.get('Retry-After', '').strip()
    if told.isdecimal():
        return int(told)
    # The time that it names is one of the server's own clock.
    now = answer.headers.get('Date') or email.utils.formatdate(usegmt=True)
    try:
        left = _time(told) - _time(now)
    except (TypeError, ValueError):
        return None
    return max(0, left.total_seconds())


def _reason(answer):
    """Return the message of an error answer, on one line."""
    try:
        found = answer.json()
        message = found.get('message') or found['title']
    except (ValueError, KeyError, AttributeError):
        message = answer.text if len(answer.content) < 2000 else answer.reason
    plain = ' '.join(str(message).replace('<br />', ' ').split())
    return text.safe(plain or answer.reason, 200)
