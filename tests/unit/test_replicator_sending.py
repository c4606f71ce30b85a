# SPDX-License-Identifier: Apache-2.0

"""Bytes on their way to a target: either side fails, or answers late."""


import pytest

from glance_replicate import errors
from glance_replicate import provenance
from tests.parts import image_api
from tests.parts import replication

DATA = b'the bytes of an image'


@pytest.fixture
def side():
    with image_api.ImageApi() as source, image_api.ImageApi() as target:
        yield replication.Side(source, target)


@pytest.mark.parametrize('status', [0, 409, 429, 500, 502, 503, 504])
def test_an_upload_that_failed_is_made_again_later_and_later(side, status):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (status, {}), times=5)
    assert side.put(image_id).what == 'copied'
    assert len(side.token.waited) == 5
    assert side.token.waited == sorted(side.token.waited)
    assert side.target.data[image_id] == DATA
    assert len(side.moved) == 6
    # In the end it is given up, and the next run goes on with the record.
    other = side.source.add(DATA)
    side.target.on('PUT', 'file', (status, {'message': 'no'}), times=6)
    with pytest.raises(errors.GivenUp, match='; gave up after 6 attempts in'):
        side.put(other)
    assert side.target.count('PUT', other) == 6
    assert side.target.images[other][provenance.UNFINISHED]
    assert side.put(other).copy_id == ''


def test_an_upload_waits_as_long_as_the_target_asks_for(side):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (503, {}, {'Retry-After': '77'}))
    assert side.put(image_id).what == 'copied'
    assert side.token.waited == [77]


@pytest.mark.parametrize('status', [400, 403, 415])
def test_an_upload_that_is_refused_for_good_leaves_no_record(side, status):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (status, {'message': 'never'}), times=9)
    with pytest.raises(errors.Refused, match='never'):
        side.put(image_id)
    assert side.target.count('PUT', 'file') == 1
    assert side.target.images == {}


@pytest.mark.parametrize('status', [413, 507])
def test_an_upload_without_room_gets_its_id_when_there_is_some(side, status):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (status, {'message': 'full'}))
    with pytest.raises(errors.Refused, match='full'):
        side.put(image_id)
    result = side.put(image_id)
    assert (result.what, result.copy_id) == ('copied', '')


def test_a_record_that_is_refused_is_not_there(side):
    side.target.on('POST', 'images', (403, {'message': 'forbidden'}))
    with pytest.raises(errors.Refused, match='forbidden'):
        side.put(side.source.add(DATA))
    assert side.target.images == {}


def test_a_record_of_an_earlier_run_that_is_refused_now_is_removed(side):
    image_id = side.source.add(DATA, os_type='linux')
    side.target.on('PUT', 'file', (413, {'message': 'full'}))
    with pytest.raises(errors.Refused, match='full'):
        side.put(image_id)
    side.source.images[image_id]['os_type'] = 'not allowed'
    side.target.on('PATCH', image_id, (400, {'message': 'no such type'}))
    with pytest.raises(errors.Refused, match='no such type'):
        side.put(image_id)
    assert side.target.images == {}


def test_a_refusal_is_told_though_its_record_cannot_be_removed(side):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (403, {'message': 'the reason'}))
    side.target.on('DELETE', image_id, (403, {'message': 'another one'}))
    with pytest.raises(errors.Refused, match='the reason'):
        side.put(image_id)


@pytest.mark.parametrize('status', [0, 502, 504])
def test_an_upload_that_the_target_completes_is_waited_for(side, status):
    image_id = side.source.add(DATA)
    looks = []

    def lose():
        side.target.images[image_id]['status'] = 'saving'
        return status, {}

    def look():
        looks.append(1)
        if len(looks) == 20:
            side.target.fill(image_id, DATA)

    side.target.on('PUT', 'file', lose)
    side.target.on('GET', f'/{image_id}$', look, times=20)
    result = side.put(image_id)
    assert (result.what, result.copy_id) == ('copied', '')
    assert side.target.count('PUT', 'file') == 1
    assert side.target.count('DELETE', '') == 0
    assert f'image {image_id} is saving; waiting' in side.said[0]
    assert provenance.UNFINISHED not in side.target.images[image_id]


def test_an_upload_that_is_not_completed_in_time_is_not_begun_again(side):
    image_id = side.source.add(DATA)

    def lose():
        side.target.images[image_id]['status'] = 'saving'
        return 504, {'message': 'too slow'}

    side.target.on('PUT', 'file', lose)
    with pytest.raises(errors.GivenUp, match='saving.*0:10:00; run the same'):
        side.put(image_id)
    assert side.target.count('PUT', 'file') == 1
    side.target.fill(image_id, DATA)
    assert side.put(image_id).what == 'copied'
    assert side.target.count('PUT', 'file') == 1


def test_an_upload_that_was_broken_off_is_not_waited_for_so_long(side):
    image_id = side.source.add(DATA)

    def spoil():
        # A Glance that is killed meanwhile leaves it so for ever.
        side.target.images[image_id]['status'] = 'saving'
        return 200, b'x' * len(DATA)

    side.source.on('GET', 'file', (200, DATA, 3))
    side.source.on('GET', 'file', spoil)
    result = side.put(image_id)
    assert result.what == 'copied'
    assert side.target.images.keys() == {result.copy_id}
    assert 30 <= sum(side.token.waited) < 100


def test_other_bytes_than_those_that_were_sent_are_thrown_away(side):
    image_id = side.source.add(DATA)

    def spoil():
        side.target.fill(next(
            i for i, image in side.target.images.items()
            if image['status'] == 'queued'
        ), b'x' * len(DATA))
        return 204, b''

    side.target.on('PUT', 'file', spoil, times=2)
    result = side.put(image_id)
    assert result.what == 'copied'
    # Its id cannot be had again: the copy tells whose it is.
    assert side.target.images.keys() == {result.copy_id}
    found = side.target.images[result.copy_id]
    assert found[provenance.SOURCE] == image_id
    assert side.target.data[result.copy_id] == DATA
    side.target.images.clear()
    side.target.on('PUT', 'file', spoil, times=3)
    with pytest.raises(errors.WrongData, match='after 3 uploads'):
        side.put(image_id)


def test_what_vanishes_on_the_source_leaves_nothing(side):
    image_id = side.source.add(DATA)
    for when in ('PUT', 'POST'):
        side.target.used.clear()
        side.target.on(when, 'images', lambda: side.source.images[
            image_id].update(status='deactivated'))
        result = side.put(image_id)
        assert (result.what, side.target.images) == ('vanished', {})
        assert 'it is deactivated' in result.detail
        side.source.images[image_id]['status'] = 'active'


def test_what_the_source_refuses_makes_no_record(side):
    image_id = side.source.add(DATA)
    side.source.on('GET', 'file', (403, {'message': 'no'}))
    with pytest.raises(errors.Refused, match='403: no'):
        side.put(image_id)
    assert side.target.count('POST', 'images') == 0
    side.source.on('GET', 'file', lambda: side.source.images.clear())
    result = side.put(image_id)
    assert (result.what, side.target.images) == ('vanished', {})
    assert 'it was deleted' in result.detail
    assert side.target.count('POST', 'images') == 0


@pytest.mark.parametrize('gone', [True, False])
def test_what_the_source_refuses_in_the_middle_leaves_no_record(side, gone):
    image_id = side.source.add(DATA)
    side.source.on('GET', 'file', (200, DATA, 3))

    def refuse():
        if gone:
            side.source.images.clear()
        return 403, {'message': 'no'}

    side.source.on('GET', 'file', refuse, times=2)
    if gone:
        assert side.put(image_id).what == 'vanished'
    else:
        with pytest.raises(errors.Refused, match='403: no'):
            side.put(image_id)
    assert side.target.images == {}
    assert side.target.count('DELETE', image_id) == 1


@pytest.mark.parametrize('more', [{}, {'size': None}])
@pytest.mark.parametrize('seeks', [True, False])
def test_a_source_that_breaks_off_is_read_on_or_from_the_start(
    side, seeks, more
):
    image_id = side.source.add(DATA, **more)
    side.source.seeks = seeks
    side.source.on('GET', 'file', (200, DATA, 3))
    assert side.put(image_id).what == 'copied'
    assert side.target.data[image_id] == DATA
    assert len(side.token.waited) == 1
    # What gets on is not counted, as long as it gets on.
    other = side.source.add(DATA * 2, **more)
    for end in range(1, 9):
        side.source.on('GET', f'{other}/file', (200, DATA * 2, end))
    assert side.put(other).what == 'copied'
    assert side.target.data[other] == DATA * 2
    # Nothing of the target is to be seen until something has come.
    side.source.on('GET', 'file', (0, ''), times=99)
    with pytest.raises(errors.GivenUp, match='cannot be reached.*6 attempts'):
        side.put(side.source.add(DATA, **more))
    assert side.target.images.keys() == {image_id, other}


def test_what_is_spoiled_once_on_the_way_here_is_sent_again(side):
    image_id = side.source.add(DATA)
    side.source.on('GET', 'file', (200, b'x' * len(DATA)))
    assert side.put(image_id).what == 'copied'
    assert side.target.data[image_id] == DATA
    side.target.images.clear()
    side.target.used.clear()
    side.source.on('GET', 'file', (200, b'x' * len(DATA)), times=9)
    with pytest.raises(errors.WrongData, match='the sha512 of'):
        side.put(image_id)
    assert side.target.images[image_id]['status'] == 'queued'


def test_a_stop_ends_it_and_the_next_run_goes_on(side):
    image_id = side.source.add(DATA)
    stopped = errors.Stopped('stop')
    side.target.on('PUT', 'file', lambda: side.token.cancel(stopped) or (0, 0))
    with pytest.raises(errors.Stopped):
        side.put(image_id)
    side.token = replication.Token()
    assert side.put(image_id).what == 'copied'
    assert side.target.images.keys() == {image_id}


@pytest.mark.parametrize(('method', 'path'), [
    ('POST', 'images'), ('PUT', 'file'), ('PATCH', 'images'),
    ('POST', 'members'), ('POST', 'import'),
])
def test_an_answer_that_was_lost_is_no_failure(side, method, path):
    image_id = side.source.add(DATA, visibility='shared', kept='x')
    side.source.members[image_id] = ['friend']
    side.target.on(method, path, image_api.LOST)

    def held():
        if 's2' in side.target.images[image_id]['stores']:
            return 409, {'message': 'it has it'}

    side.target.on('POST', 'import', held, times=9)
    result = side.put(image_id, members=True, stores=('s1', 's2'))
    assert (result.what, result.copy_id) == ('copied', '')
    assert side.target.data == {image_id: DATA}
    found = side.target.images[image_id]
    assert provenance.UNFINISHED not in found
    assert (found['kept'], found['stores']) == ('x', 's1,s2')
