# SPDX-License-Identifier: Apache-2.0

"""Requests to an Image service: what is repeated, and what is told."""

from keystoneauth1 import adapter
from keystoneauth1 import noauth
from keystoneauth1 import session
import pytest

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import limits
from glance_replicate import clouds
from glance_replicate import errors
from glance_replicate import selecting
from glance_replicate import store_copies
from glance_replicate import streams
from tests.parts import dumps
from tests.parts import image_api
from tests.parts import replication

NOBODY = '11111111-2222-4333-8444-555555555555'


@pytest.fixture
def api():
    with image_api.ImageApi() as server:
        yield server


@pytest.fixture
def service(api):
    return connect(api.url)


def connect(url, token=None, **more):
    return clouds.connect(
        clouds.Endpoint(name=url, token='t'), lambda sentence: None,
        replication.retries(token, **more),
    )


def test_all_pages_of_images_are_read_hidden_ones_too(api, service):
    ids = {api.add() for _ in range(2 * image_api.PAGE + 1)}
    ids.add(api.add(os_hidden=True))
    found = selecting.everything(service)
    assert {image.id for image in found} == ids
    assert len(found) == len(ids)
    assert api.headers[0]['X-Auth-Token'] == 't'


def test_only_images_that_are_active_and_whole_are_meant(api, service):
    late, early = api.add(created_at='2026-02-02'), api.add()
    queued = api.add(None)
    half = api.add(glance_replicate_unfinished=f'{early} host 1 1')
    assert [
        image.id for image in selecting.active(service, selecting.Filters())
    ] == [early, late]
    named = selecting.Filters(ids=(late,))
    assert [image.id for image in selecting.active(service, named)] == [late]
    for image_id, told in (
        (NOBODY, 'There is no image'), (queued, 'is queued'),
        (half, 'is an unfinished copy'),
    ):
        with pytest.raises(errors.ReplicatorError, match=told):
            selecting.active(service, selecting.Filters(ids=(late, image_id)))


@pytest.mark.parametrize('status', [0, 408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_later_and_later(api, status):
    token, said = replication.Token(), []
    service = connect(api.url, token, times=7, say=said.append)
    assert service.stores()
    image_id = api.add()
    api.on('GET', image_id, (status, {'message': 'away'}), times=7)
    assert service.image(image_id)['id'] == image_id
    assert api.count('GET', image_id) == 8
    assert all(
        wanted <= seconds <= wanted + 0.5 for wanted, seconds
        in zip((0.5, 1, 2, 4, 8, 16, 30), token.waited, strict=True)
    )
    # What is over at once is not worth a sentence.
    (sentence,) = said
    assert 'trying again for up to 0:10:00' in sentence
    api.on('GET', image_id, (status, {'message': 'away'}), times=8)
    with pytest.raises(errors.GivenUp, match='after 8 attempts in 0:00'):
        service.image(image_id)


def test_a_server_that_never_answers_is_given_up_soon(api):
    said = []
    service = connect(api.url, say=said.append)
    api.on('GET', '', (0, ''), times=9)
    with pytest.raises(errors.GivenUp, match='cannot be reached.*3 attempts'):
        service.stores()
    assert said == []


def test_three_attempts_are_made_however_long_they_take(api):
    service = connect(api.url, timeout=2)
    api.on('GET', 'stores', (503, {}), times=9)
    with pytest.raises(errors.GivenUp, match='after 3 attempts'):
        service.stores()
    service = connect(api.url, times=0)
    with pytest.raises(errors.GivenUp, match='503: .* 1 attempt$'):
        service.stores()


@pytest.mark.parametrize(('told', 'seconds'), [
    ('7', 7), ('Tue, 01 Dec 2026 12:00:50 GMT', 50), (' 7 ', 7),
    ('0', None), ('soon', None), ('-7', None), ('', None),
    ('Tue, 01 Dec 2026 11:00:00 GMT', None), ('Tue, 01 Dec 2026', None),
])
@pytest.mark.parametrize('status', [429, 503])
def test_a_server_that_tells_when_to_come_back_is_obeyed(
    api, status, told, seconds
):
    token, said = replication.Token(), []
    service = connect(api.url, token, say=said.append)
    api.on('GET', 'stores', (status, {}, {
        'Retry-After': told, 'Date': 'Tue, 01 Dec 2026 12:00:00 GMT',
    }))
    assert service.stores()
    (waited,) = token.waited
    if seconds is None:
        assert 0.5 <= waited <= 1
        assert said == []
    else:
        assert waited == seconds
        assert f'again in 0:00:{seconds:02}, as the server' in said[0]


def test_a_server_that_wants_more_time_than_there_is_is_left_at_once(api):
    service = connect(api.url, timeout=60)
    api.on('GET', 'stores', (503, {}, {'Retry-After': '3600'}))
    with pytest.raises(errors.GivenUp, match='1 attempt: .* to wait 3600 s'):
        service.stores()


@pytest.mark.parametrize('status', [400, 401, 403, 413, 501])
def test_what_is_refused_for_good_is_not_repeated(api, service, status):
    image_id = api.add()
    api.on('GET', image_id, (status, {'message': 'go away'}), times=9)
    with pytest.raises(errors.Refused, match=f'{status}: go away') as caught:
        service.image(image_id)
    assert caught.value.status == status
    assert api.count('GET', image_id) == 1


def test_what_might_be_done_twice_is_not_repeated_here(api, service):
    image_id = api.add(None)
    for method, path, send in (
        ('PUT', 'file$', lambda: service.upload(image_id, iter([b'x']))),
        ('GET', 'file$', lambda: service.open(image_id)),
        ('POST', 'locations$', lambda: service.add_location(
            image_id, 'file:///x', {}
        )),
    ):
        before = api.count(method, path)
        api.on(method, path, (503, {}))
        with pytest.raises(errors.Refused):
            send()
        assert api.count(method, path) == before + 1, path


def test_everything_else_is_repeated(api, service):
    image_id = api.add()
    for method, path, send in (
        ('POST', 'images$', lambda: service.create({'id': NOBODY})),
        ('PATCH', image_id, lambda: service.patch(image_id, [])),
        ('POST', 'members$', lambda: service.add_member(image_id, 'p')),
        ('POST', 'import$', lambda: service.copy(image_id, ['s2'])),
        ('DELETE', image_id, lambda: service.delete(image_id)),
    ):
        api.on(method, path, (503, {}))
        send()
        assert api.count(method, path) == 2, path
    assert api.images.keys() == {NOBODY}


@pytest.mark.parametrize(('answer', 'told'), [
    ({'message': 'said so'}, 'said so'), ({'title': 'Bad'}, 'Bad'),
    ('<b>a</b>\n<br /><br />\n b', '<b>a</b> b'), ([1], r'\[1\]'),
    ('x' * 2000, 'Bad Request'), (b'', 'Bad Request'),
])
def test_the_reason_of_a_refusal_is_told(api, service, answer, told):
    api.on('GET', 'stores', (400, answer))
    with pytest.raises(errors.Refused, match=f'answers 400: {told}$'):
        service.stores()


@pytest.mark.parametrize('answer', ['no json', [], {}, 'null'])
def test_what_is_no_image_service_is_told_so(api, service, answer):
    api.on('GET', '', (200, answer), times=9)
    asks = [service.image, service.members, service.tasks]
    if answer != []:
        asks.append(service.locations)
    for ask in asks:
        with pytest.raises(errors.Refused, match='does not answer like an'):
            ask(NOBODY)


def test_what_is_gone_is_no_error_to_read_or_delete(api, service):
    assert service.image(NOBODY) is None
    service.delete(NOBODY)
    for method, ask in (('GET', service.image), ('DELETE', service.delete)):
        api.on(method, NOBODY, (403, {}))
        with pytest.raises(errors.Refused):
            ask(NOBODY)


def test_a_project_may_have_been_added_already(api, service):
    image_id = api.add()
    api.on('POST', 'members', (409, {}))
    service.add_member(image_id, 'p')
    api.on('POST', 'members', (403, {}))
    with pytest.raises(errors.Refused):
        service.add_member(image_id, 'p')
    assert service.members(image_id) == set()


def test_data_are_read_from_the_middle_on_where_that_can_be(api, service):
    image_id = api.add(b'0123456789')
    for answer, begin, data in (
        (None, 4, b'456789'),
        ((206, b'456789', {'Content-Range': 'bytes 4-9/10'}), 4, b'456789'),
        # Some begin where they like, or do not care at all.
        ((206, b'89', {'Content-Range': 'bytes 8-9/10'}), 0, b'0123456789'),
        ((200, b'0123456789'), 0, b'0123456789'),
        ((400, {}), 0, b'0123456789'), ((416, {}), 0, b'0123456789'),
        ((500, {}), 0, b'0123456789'),
    ):
        if answer:
            api.on('GET', 'file', answer)
        found, begins = service.open(image_id, 4)
        with found:
            assert (begins, found.content) == (begin, data)
    found, begins = service.open(image_id)
    with found:
        assert (begins, found.content) == (0, b'0123456789')
    assert 'Range' not in api.headers[-1]
    # What is over is asked for in the same way again.
    before = len(api.asked)
    api.on('GET', 'file', (503, {}))
    with pytest.raises(errors.Refused, match='503'):
        service.open(image_id, 4)
    assert len(api.asked) == before + 1


@pytest.mark.parametrize('offset', [0, 4])
def test_an_image_whose_data_are_gone_is_told_so(api, service, offset):
    image_id = api.add(b'0123456789')
    # Glance says so with an answer that looks like a success.
    api.on('GET', 'file', (204, b''))
    with pytest.raises(errors.Refused, match='has no data of this image'):
        service.open(image_id, offset)


@pytest.mark.parametrize(('size', 'length'), [
    (2560000, '2560000'), (None, None),
])
def test_the_length_of_data_is_told_if_it_is_known(api, service, size, length):
    image_id = api.add(None)
    data = bytes(range(256)) * 10000
    service.upload(image_id, iter([data[:1], b'', data[1:]]), size, 's2')
    assert api.data[image_id] == data
    found = api.headers[-1]
    assert found['X-Image-Meta-Store'] == 's2'
    assert found.get('Content-Length') == length
    assert found.get('X-OpenStack-Image-Size') == length
    # In parts that uWSGI takes.
    assert api.largest_part == (0 if size else 64 * 1024)
    service.upload(image_id, iter([b'ab', b'c']), 3)
    assert 'X-Image-Meta-Store' not in api.headers[-1]
    assert api.data[image_id] == b'abc'


def test_no_data_have_a_length_too(api, service):
    image_id = api.add(None)
    service.upload(image_id, iter([]), 0)
    assert api.headers[-1]['Content-Length'] == '0'
    assert api.data[image_id] == b''


@pytest.mark.parametrize('size', [5, None])
def test_a_body_is_not_sent_twice_as_if_it_were_empty(api, service, size):
    image_id = api.add(None)
    token = cancel_token.CancelToken()
    body = streams.Body(
        [b'right'], dumps.image(b'right'), cancel=token,
        count=lambda count: None, limit=limits.BandwidthLimit(None, token),
    )
    api.on('PUT', 'file', (307, b''))
    with pytest.raises(errors.Unreachable):
        service.upload(image_id, body, size)
    assert image_id not in api.data


def test_tasks_come_in_the_order_of_their_times(api, service):
    image_id = api.add()
    api.tasks[image_id] = [
        {'id': 'late', 'created_at': '2'}, {'id': 'early', 'created_at': '1'},
    ]
    assert [task['id'] for task in service.tasks(image_id)] == [
        'early', 'late',
    ]


def test_stores_that_cannot_be_written_are_not_offered(api, service):
    assert service.stores() == ['s1', 's2']
    store_copies.checked_stores(service, ['s2'])
    with pytest.raises(errors.ReplicatorError, match='no store fixed that'):
        store_copies.checked_stores(service, ['s1', 'fixed'])
    api.stores = None
    with pytest.raises(errors.ReplicatorError, match='has only one store'):
        store_copies.checked_stores(service, ['s1'])
    api.on('GET', 'stores', (403, {}))
    with pytest.raises(errors.Refused, match='403'):
        store_copies.checked_stores(service, ['s1'])


@pytest.mark.parametrize(('endpoint', 'url'), [
    ('http://h/image', 'http://h/image/v2'), ('http://h/', 'http://h/v2'),
    ('http://h/v2', 'http://h/v2'), ('http://h/v2/', 'http://h/v2/'),
])
def test_a_cloud_may_tell_the_version_or_not(endpoint, url):
    found = clouds.with_version(adapter.Adapter(
        session.Session(auth=noauth.NoAuth()), endpoint_override=endpoint
    ))
    assert found.endpoint_override == url


@pytest.mark.parametrize(('url', 'warned'), [
    ('http://192.0.2.1', True), ('http://example.org', True),
    ('https://192.0.2.1', False), ('http://127.0.0.2', False),
    ('http://localhost', False), ('http://[::1]:1', False),
])
def test_a_token_that_anybody_can_read_is_warned_of(url, warned):
    for token in ('secret', None):
        said = []
        clouds.connect(
            clouds.Endpoint(name=url, token=token), said.append,
            replication.retries(),
        )
        assert bool(said) is bool(warned and token)
        assert 'secret' not in ''.join(said)
