# SPDX-License-Identifier: Apache-2.0

"""Requests to one server: sent, repeated, and what went wrong in words.

A request that failed for want of a connection, or that the server asks to
repeat, is repeated if that can do no harm.
"""

import email.utils
import re

from keystoneauth1 import exceptions as auth_exceptions
import openstack.exceptions
import requests

from glance_replicate import errors
from glance_replicate import text

_TIMEOUT = (20, 300)  # to connect, and between two bytes; seconds
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
    :param name: how the user calls the server
    :param retries: :class:`Retries`
    """

    def __init__(self, adapter, name, retries):
        self._adapter = adapter
        self._name = name
        self._retries = retries
        self._timeout = tuple(min(n, retries.timeout) for n in _TIMEOUT)
        self._has_answered = False

    def send(self, method, path, *, repeat=False, **more):
        """Send a request; return the answer, which is a success.

        :param repeat: it does no harm to send it again
        """
        if repeat:
            return self._retries.call(self._send_once, method, path, **more)
        return self._send_once(method, path, **more)

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
                f'The certificate of {self._name} cannot be verified; a '
                f'certificate to trust is named with --cacert'
            )
        # The service that gives tokens may be away for a while, too.
        status = getattr(exc, 'http_status', None)
        if isinstance(exc, _AWAY) or status in errors.PASSING:
            return errors.Unreachable(
                f'{self._name} cannot be reached: {_cause(exc)}',
                self._has_answered,
            )
        return errors.ReplicatorError(
            f'{self._name} does not let you in: {text.safe(exc)}'
        )


def _cause(exc):
    """Return what the system said, else what the libraries say."""
    found = _ERRNO.search(str(exc))
    return text.safe(found[1] if found else exc)


def _pause(answer):
    """Return the seconds that Retry-After asks to wait, or None."""
    told = answer.headers.get('Retry-After', '').strip()
    if told.isdecimal():
        return int(told)
    # The clock of the server is the one that it tells a time of.
    now = answer.headers.get('Date') or email.utils.formatdate(usegmt=True)
    try:
        left = _time(told) - _time(now)
    except (TypeError, ValueError):
        return None
    return max(0, left.total_seconds())


def _reason(answer):
    """Return what an answer that is a failure says, without its tags."""
    try:
        found = answer.json()
        message = found.get('message') or found['title']
    except (ValueError, KeyError, AttributeError):
        message = answer.text if len(answer.content) < 2000 else answer.reason
    plain = ' '.join(str(message).replace('<br />', ' ').split())
    return text.safe(plain or answer.reason, 200)
