# SPDX-License-Identifier: Apache-2.0

"""A service that sends requests on: where they go then, and where never."""

import io

import pytest
import requests

from glance_replicate import errors
from glance_replicate import transport


class Adapter:
    """It answers each request with the next of some redirects, then well."""

    def __init__(self, base, *locations, status=301):
        self.endpoint_override = base
        self.asked = []
        self._locations = list(locations)
        self._status = status

    def request(self, path, method, *, redirect, **more):
        assert redirect is False
        answer = requests.Response()
        answer.raw = io.BytesIO()
        answer.url = self.endpoint_override + path
        answer.status_code = 200
        self.asked.append(answer.url)
        if self._locations:
            answer.status_code = self._status
            location = self._locations.pop(0)
            if location is not None:
                answer.headers['Location'] = location
        return answer


@pytest.mark.parametrize('status', [301, 302, 307, 308])
@pytest.mark.parametrize(('old', 'location', 'new'), [
    ('http://h/v2', 'https://h/v2/images?a=b', 'https://h/v2'),
    ('http://h:1/v2', 'http://h:2/image/v2/images', 'http://h:2/image/v2'),
    ('http://h/v2', '/image/v2/images?a=b', 'http://h/image/v2'),
    # Who has sent it was verified.
    ('https://h/v2', 'https://i/v2/images?a=b', 'https://i/v2'),
])
def test_it_is_asked_at_its_new_address_from_then_on(
    status, old, location, new
):
    adapter = Adapter(old, location, status=status)
    service = transport.RedirectedAdapter(adapter, 'north')
    for _each in range(2):
        answer = service.request('/images?a=b', 'GET')
        assert answer.status_code == 200
    assert adapter.asked == [
        f'{old}/images?a=b', *[f'{new}/images?a=b'] * 2,
    ]


@pytest.mark.parametrize(('old', 'location', 'told'), [
    ('http://h/v2', 'https://i/v2/images', 'another host'),
    ('https://h/v2', 'http://h/v2/images', 'not encrypted'),
    ('http://h/v2', 'ftp://h/v2/images', 'not encrypted'),
    ('http://h/v2', 'https://h/login?next=images', 'not an Image service'),
    ('http://h/v2', 'http://[h/v2/images', 'not a URL'),
    ('http://h/v2', None, 'nowhere, which is not a URL'),
    ('http://h/v2', 'https://u:secret@i/v2/images', r'https://\*\*\*@i'),
])
def test_it_is_told_what_to_name_where_no_token_may_go(old, location, told):
    adapter = Adapter(old, location)
    with pytest.raises(errors.Refused, match=told) as caught:
        transport.RedirectedAdapter(adapter, 'north').request('/images', 'GET')
    assert str(caught.value).startswith('north redirects (301) to ')
    assert caught.value.status == 301
    assert adapter.endpoint_override == old
    assert len(adapter.asked) == 1


def test_a_redirect_that_goes_round_has_an_end():
    adapter = Adapter('http://h/v2', *['http://h/v2/images'] * 99)
    with pytest.raises(errors.Refused, match='too many redirects'):
        transport.RedirectedAdapter(adapter, 'north').request('/images', 'GET')
    assert len(adapter.asked) == 5


def test_data_that_cannot_be_read_twice_is_sent_to_the_new_address_later():
    adapter = Adapter('http://h/v2', 'https://h/v2/images')
    service = transport.RedirectedAdapter(adapter, 'north')
    with pytest.raises(errors.Unreachable, match='has moved to https://h/v2'):
        service.request('/images', 'PUT', data=iter([b'x']))
    assert service.request('/images', 'PUT', data=iter([b'x'])).ok
