# SPDX-License-Identifier: Apache-2.0

"""Where an Image service sends those who ask at an address it has left."""

import urllib.parse

from glance_replicate import errors
from glance_replicate import text

_STATUSES = (301, 302, 307, 308)
_MOST = 5


class Following:
    """An adapter that asks at the new address from then on.

    Without encryption only if that is on the same host: anybody on the way
    could have the token sent anywhere.

    :param adapter: a keystoneauth adapter
    :param name: how the user calls the service
    """

    def __init__(self, adapter, name):
        self._adapter = adapter
        self._name = name

    def request(self, path, method, **more):
        """Return the answer to a request, from wherever it is given.

        :raises: :class:`Refused` if the address cannot be followed, and
            :class:`Unreachable` if it will be, but the data is not to be
            had again
        """
        for _turn in range(_MOST):
            answer = self._adapter.request(
                path, method, redirect=False, **more
            )
            if answer.status_code not in _STATUSES:
                return answer
            answer.close()
            self._adapter.endpoint_override = self._moved(answer, path)
            if not isinstance(more.get('data', b''), (bytes, str)):
                raise errors.Unreachable(
                    f'{self._name} cannot be reached: it has moved to '
                    f'{text.safe(self._adapter.endpoint_override)}'
                )
        raise self._refused(answer, 'which leads nowhere')

    def _moved(self, answer, path):
        """Return the URL that a path of the service now begins with."""
        old = urllib.parse.urlsplit(answer.url)
        try:
            new = urllib.parse.urlsplit(urllib.parse.urljoin(
                answer.url, answer.headers['Location']
            ))
            host = new.hostname
        except (KeyError, ValueError):
            raise self._refused(answer, 'which is no URL') from None
        if new.scheme != 'https' and new.scheme != old.scheme:
            raise self._refused(answer, 'which is not encrypted')
        if old.scheme != 'https' and host != old.hostname:
            raise self._refused(answer, 'which is another host')
        end = urllib.parse.urlsplit(path).path
        if not new.path.endswith(end):
            raise self._refused(answer, 'which is no Image service')
        return f'{new.scheme}://{new.netloc}{new.path.removesuffix(end)}'

    def _refused(self, answer, reason):
        where = answer.headers.get('Location', '')
        return errors.Refused(
            f'{self._name} answers {answer.status_code} and sends requests '
            f'on to {text.safe(where) or "nowhere"}, {reason}: name the URL '
            f'of the Image service itself, or set image_endpoint_override '
            f'in clouds.yaml', answer.status_code,
        )
