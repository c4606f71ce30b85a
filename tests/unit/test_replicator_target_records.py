# SPDX-License-Identifier: Apache-2.0

"""What is on a target already: of a dead process, or of one at work."""

import os
import socket

import pytest

from glance_replicate import errors
from glance_replicate import provenance
from glance_replicate import records
from tests.parts import image_api
from tests.parts import replication

DATA = b'the bytes of an image'


@pytest.fixture
def side():
    with image_api.ImageApi() as source, image_api.ImageApi() as target:
        yield replication.Side(source, target)


def mark(image_id, host=None, pid=4194305, started=5):
    return {provenance.UNFINISHED: str(provenance.Mark(
        image_id, host or socket.gethostname(), pid, started
    ))}


def test_an_upload_of_a_dead_process_may_still_have_to_end(side):
    image_id = side.source.add(DATA)
    side.target.add(None, id=image_id, status='saving', **mark(image_id))
    looks = []

    def look():
        looks.append(1)
        if len(looks) == 4:
            side.target.images[image_id]['status'] = 'queued'

    side.target.on('GET', f'/{image_id}$', look, times=9)
    assert side.put(image_id).what == 'copied'
    assert side.token.waited == [0.2, 0.4]
    assert side.target.data[image_id] == DATA


@pytest.mark.parametrize('busy', [
    {'status': 'saving'}, {'status': 'importing'}, {'status': 'uploading'},
    {'os_glance_import_task': 'x'},
])
def test_a_record_that_stays_busy_is_replaced_in_the_end(side, busy):
    image_id = side.source.add(DATA)
    side.target.add(None, id=image_id, **busy, **mark(image_id))
    result = side.put(image_id)
    assert result.what == 'copied'
    # It was waited for until it could not have been at work any more.
    assert 600 <= sum(side.token.waited) < 640
    assert f'image {image_id} is ' in side.said[0]
    assert 'for up to 0:10:00' in side.said[0]
    assert side.target.data[result.copy_id or image_id] == DATA


def test_what_a_dead_process_left_of_an_image_that_is_refused_is_removed(side):
    image_id = side.source.add(DATA)
    side.target.add(None, id=image_id, **mark(image_id))
    side.source.on('GET', 'file', (403, {'message': 'no'}))
    with pytest.raises(errors.Refused, match='403: no'):
        side.put(image_id)
    assert side.target.images == {}


def test_right_data_of_a_dead_process_are_not_sent_again(side):
    image_id = side.source.add(DATA, name='new', visibility='public')
    side.target.add(DATA, id=image_id, name='old', **mark(image_id))
    assert side.put(image_id).what == 'copied'
    assert side.target.count('PUT', 'file') == 0
    assert side.target.images[image_id]['name'] == 'new'
    assert side.target.images[image_id]['visibility'] == 'public'


@pytest.mark.parametrize(('host', 'pid', 'told'), [
    ('elsewhere', 5, 'process 5 on the machine elsewhere'),
    (None, os.getppid(), f'process {os.getppid()} on this machine'),
], ids=['elsewhere', 'here'])
def test_what_may_be_at_work_is_left_alone(side, host, pid, told):
    image_id = side.source.add(DATA)
    started = int(provenance.psutil.Process(os.getppid()).create_time())
    marked = mark(image_id, host, pid, started)
    side.target.add(None, id=image_id, **marked)
    with pytest.raises(errors.ReplicatorError, match=told):
        side.put(image_id)
    assert {m for m, _path in side.target.asked} == {'GET'}
    if host:
        assert side.put(image_id, redo=True).what == 'copied'
        return
    # Of this machine it is known, whatever the user says.
    with pytest.raises(errors.ReplicatorError, match=told):
        side.put(image_id, redo=True)


@pytest.mark.parametrize(('fields', 'data', 'told'), [
    ({}, DATA, None),
    ({}, b'other', 'another image with this id has just appeared'),
    (mark('x', 'elsewhere'), None, 'the machine elsewhere'),
    (mark('x'), None, None),
    (mark('x'), DATA, None),
])
def test_what_appears_meanwhile_is_judged_by_its_bytes(
    side, fields, data, told
):
    image_id = side.source.add(DATA)
    side.target.on('POST', 'images', lambda: side.target.add(
        data, id=image_id, **fields
    ) and None)
    if told:
        with pytest.raises(errors.ReplicatorError, match=told):
            side.put(image_id)
        assert side.target.count('PUT', 'file') == 0
        return
    assert side.put(image_id).what == 'copied'
    assert side.target.count('PUT', 'file') == (data is None)
    assert side.target.images.keys() == {image_id}


def test_an_unfinished_record_gets_everything_of_today(side):
    image_id = side.source.add(
        DATA, name='new', tags=['b'], min_ram=5, visibility='public',
        protected=True, kept='x', img_signature='y', added='z',
    )
    side.target.add(
        None, id=image_id, name='old', tags=['a'], kept='w', gone='x',
        img_signature='y', disk_format=None, **mark(image_id),
    )
    seen = []
    side.target.on('PUT', 'file', lambda: seen.append(
        dict(side.target.images[image_id])
    ))
    rules = records.Rules(dropped=('img_signature*',))
    assert side.put(image_id, rules=rules).what == 'copied'
    (during,) = seen
    assert {'gone', 'img_signature'}.isdisjoint(during)
    wanted = {
        'name': 'new', 'tags': ['b'], 'min_ram': 5, 'kept': 'x', 'added': 'z',
        'disk_format': 'raw', 'visibility': 'private', 'protected': False,
    }
    assert {name: during[name] for name in wanted} == wanted
    assert provenance.parse(during[provenance.UNFINISHED]).is_ours
    assert side.target.images[image_id]['visibility'] == 'public'


@pytest.mark.parametrize('used', [True, False])
def test_a_record_whose_answer_was_lost_is_not_made_twice(side, used):
    image_id = side.source.add(DATA)
    if used:
        side.target.used.add(image_id)
        side.target.on('POST', 'images', lambda: None)
    side.target.on('POST', 'images', image_api.LOST)
    result = side.put(image_id)
    assert result.what == 'copied'
    assert side.target.images.keys() == {result.copy_id or image_id}
    assert bool(result.copy_id) is used
