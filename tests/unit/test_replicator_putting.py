# SPDX-License-Identifier: Apache-2.0

"""Putting an image on a target that fails, answers late, or has changed."""

import os
import socket

import pytest

from glance_copy_plugin.replicator import claims
from glance_copy_plugin.replicator import clouds
from glance_copy_plugin.replicator import comparing
from glance_copy_plugin.replicator import delivering
from glance_copy_plugin.replicator import errors
from glance_copy_plugin.replicator import items
from glance_copy_plugin.replicator import marks
from glance_copy_plugin.replicator import putting
from glance_copy_plugin.replicator import records
from glance_copy_plugin.replicator import selecting
from glance_copy_plugin.transfer import cancel
from glance_copy_plugin.transfer import limits
from tests.parts import dumps
from tests.parts import image_api

DATA = b'the bytes of an image'


class Token(cancel.CancelToken):
    """It does not sleep, and knows how long it should have."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def wait(self, seconds):
        self.waited.append(seconds)
        super().wait(0)


class Side:
    """A source and a target, and what puts an image from one on the other."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.token = Token()
        self.moved = []

    def put(self, image_id, *, patience=0, redo=False, rules=None, **options):
        """Put one image; return the result."""
        here, there = connect(self.source), connect(self.target)
        # Tests have their own look at what is repeated.
        there.attempts = 1
        rules = rules or records.Rules()
        putter = putting.Putter(
            service=there, rules=rules, cancel=self.token, display=self,
            index=comparing.Index(selecting.everything(there)),
            options=putting.Options(**options),
            claims=claims.Claims(
                there, rules, self.token, patience=patience, redo=redo
            ),
            delivery=delivering.Streaming(
                service=there, cancel=self.token,
                limit=limits.BandwidthLimit(None, self.token),
            ),
        )
        image = records.of_api(here.image(image_id))
        return putter.put(items.CloudItem(here, image))

    def begin(self, key, name, size):
        self.moved.append([name, size])

    def advance(self, key, count):
        self.moved[-1].append(count)


def connect(api):
    return clouds.connect(clouds.Endpoint(name=api.url), print)


@pytest.fixture
def side():
    with image_api.ImageApi() as source, image_api.ImageApi() as target:
        yield Side(source, target)


def mark(image_id, host=None, pid=4194305, started=5):
    return {marks.UNFINISHED: str(marks.Mark(
        image_id, host or socket.gethostname(), pid, started
    ))}


def test_an_image_is_private_and_marked_until_it_is_whole(side):
    image_id = side.source.add(
        DATA, visibility='public', protected=True, tags=['b', 'a'],
        hw_disk='x', disk_format=None,
    )
    seen = []
    side.target.on(
        'PUT', 'file', lambda: seen.append(dict(side.target.images[image_id]))
    )
    result = side.put(image_id)
    assert (result.what, result.size) == ('copied', len(DATA))
    (during,) = seen
    assert during['visibility'] == 'private'
    assert during['protected'] is False
    assert marks.parse(during[marks.UNFINISHED]).is_ours
    found = side.target.images[image_id]
    assert (found['visibility'], found['protected']) == ('public', True)
    assert (found['tags'], found['hw_disk']) == (['a', 'b'], 'x')
    assert marks.UNFINISHED not in found
    assert side.target.data[image_id] == DATA
    assert side.moved == [['one', len(DATA), len(DATA)]]
    assert side.token.waited == []


@pytest.mark.parametrize('status', [0, 409, 429, 500, 502, 503, 504])
def test_an_upload_that_failed_is_made_again_later_and_later(side, status):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (status, {}), times=2)
    assert side.put(image_id).what == 'copied'
    assert side.token.waited == [0.5, 1.0]
    assert side.target.data[image_id] == DATA
    assert len(side.moved) == 3


@pytest.mark.parametrize('status', [0, 503])
def test_an_upload_that_fails_again_and_again_is_given_up(side, status):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (status, {'message': 'no'}), times=9)
    with pytest.raises(errors.ReplicatorError, match='no|cannot be reached'):
        side.put(image_id)
    assert side.target.count('PUT', 'file') == 3
    assert side.target.images[image_id][marks.UNFINISHED]


def test_an_upload_that_is_refused_for_good_is_not_made_again(side):
    image_id = side.source.add(DATA)
    side.target.on('PUT', 'file', (413, {'message': 'too large'}), times=9)
    with pytest.raises(errors.Refused, match='too large'):
        side.put(image_id)
    assert side.target.count('PUT', 'file') == 1
    side.target.on('POST', 'images', (403, {'message': 'forbidden'}))
    with pytest.raises(errors.Refused, match='forbidden'):
        side.put(side.source.add(DATA))


def test_an_answer_that_was_lost_is_no_second_upload(side):
    image_id = side.source.add(DATA)

    def lose():
        side.target.fill(image_id, DATA)
        return 0, ''

    side.target.on('PUT', 'file', lose)
    assert side.put(image_id).what == 'copied'
    assert side.target.count('PUT', 'file') == 1
    assert marks.UNFINISHED not in side.target.images[image_id]


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
    assert found[marks.SOURCE] == image_id
    assert side.target.data[result.copy_id] == DATA
    side.target.images.clear()
    side.target.on('PUT', 'file', spoil, times=3)
    with pytest.raises(errors.WrongData, match='others, each of 3 times'):
        side.put(image_id)


def test_an_image_without_a_hash_that_fits_is_never_thought_the_same(side):
    image_id = side.source.add(DATA)
    side.target.add(DATA, id=image_id, os_hash_algo='sha256', checksum=None)
    with pytest.raises(errors.ReplicatorError, match='whose hash cannot be'):
        side.put(image_id)
    side.target.images[image_id]['size'] += 1
    with pytest.raises(errors.ReplicatorError, match='whose data is other'):
        side.put(image_id)
    side.target.images[image_id]['status'] = 'deactivated'
    with pytest.raises(errors.ReplicatorError, match='which is deactivated'):
        side.put(image_id)
    assert {m for m, _path in side.target.asked} == {'GET'}


def test_what_is_on_the_target_is_looked_at_again_just_before(side):
    image_id = side.source.add(DATA)
    side.target.add(DATA, id=image_id)
    listed = dict(side.target.images[image_id])

    def appear():
        side.target.images[image_id] = {**listed, 'name': 'changed'}

    side.target.on('GET', f'/{image_id}$', appear)
    result = side.put(image_id)
    assert (result.what, result.detail) == ('updated', 'name')
    # What was there and is gone is copied.
    side.target.on(
        'GET', f'/{image_id}$', lambda: side.target.images.pop(image_id) and (
            404, {'message': 'gone'}
        ),
    )
    assert side.put(image_id).what == 'copied'


def test_an_upload_of_a_dead_process_may_still_have_to_end(side):
    image_id = side.source.add(DATA)
    side.target.add(None, id=image_id, status='saving', **mark(image_id))
    looks = []

    def look():
        looks.append(1)
        if len(looks) == 4:
            side.target.images[image_id]['status'] = 'queued'

    side.target.on('GET', f'/{image_id}$', look, times=9)
    assert side.put(image_id, patience=600).what == 'copied'
    assert side.token.waited == [0.2, 0.2]
    assert side.target.data[image_id] == DATA


@pytest.mark.parametrize('busy', [
    {'status': 'saving'}, {'status': 'importing'}, {'status': 'uploading'},
    {'os_glance_import_task': 'x'},
])
def test_a_record_that_stays_busy_is_replaced_in_the_end(side, busy):
    image_id = side.source.add(DATA)
    side.target.add(None, id=image_id, **busy, **mark(image_id))
    result = side.put(image_id, patience=-1)
    assert result.what == 'copied'
    assert side.token.waited == []
    assert side.target.data[result.copy_id or image_id] == DATA


def test_right_data_of_a_dead_process_are_not_sent_again(side):
    image_id = side.source.add(DATA, name='new', visibility='public')
    side.target.add(DATA, id=image_id, name='old', **mark(image_id))
    assert side.put(image_id).what == 'copied'
    assert side.target.count('PUT', 'file') == 0
    assert side.target.images[image_id]['name'] == 'new'
    assert side.target.images[image_id]['visibility'] == 'public'


@pytest.mark.parametrize(('host', 'pid', 'told'), [
    ('elsewhere', 5, 'process 5 of the machine elsewhere'),
    (None, os.getppid(), f'process {os.getppid()} of this machine'),
])
def test_what_may_be_at_work_is_left_alone(side, host, pid, told):
    image_id = side.source.add(DATA)
    started = int(marks.psutil.Process(os.getppid()).create_time())
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


def test_what_only_updates_or_only_looks_copies_nothing(side):
    new = side.source.add(DATA)
    old = side.source.add(DATA, name='renamed', extra='x')
    side.target.add(DATA, id=old, tags=['t'])
    for options, what in (
        ({'dry_run': True}, ['would copy', 'would update']),
        ({'metadata_only': True, 'dry_run': True}, ['same', 'would update']),
        ({'metadata_only': True}, ['same', 'updated']),
    ):
        assert {m for m, _path in side.target.asked} <= {'GET'}
        found = [side.put(each, **options) for each in (new, old)]
        assert [result.what for result in found] == what
        assert found[1].detail == 'extra, name, tags'
    assert found[0].detail.endswith('and not copied')
    assert side.put(new, dry_run=True).size == len(DATA)
    assert side.target.images.keys() == {old}
    assert side.target.images[old]['extra'] == 'x'


def test_properties_are_dropped_renamed_and_changed(side):
    image_id = side.source.add(
        DATA, secret='x', tmp_one='1', old='v', region='north',
    )
    rules = records.Rules(
        dropped=('secret', 'tmp_*'), renamed={'old': 'new'},
        changed={'region': 'south', 'absent': 'x'},
    )
    assert side.put(image_id, rules=rules).what == 'copied'
    found = side.target.images[image_id]
    assert {'secret', 'tmp_one', 'old', 'absent'}.isdisjoint(found)
    assert (found['new'], found['region']) == ('v', 'south')
    assert side.put(image_id, rules=rules).what == 'same'
    assert side.put(image_id).what == 'updated'


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


def test_what_the_source_refuses_is_told_unless_it_has_vanished(side):
    image_id = side.source.add(DATA)
    side.source.on('GET', 'file', (403, {'message': 'no'}))
    with pytest.raises(errors.Refused, match='403: no'):
        side.put(image_id)
    assert side.target.images.keys() == {image_id}
    del side.target.images[image_id]
    side.source.on('GET', 'file', lambda: side.source.images.clear())
    result = side.put(image_id)
    assert (result.what, side.target.images) == ('vanished', {})
    assert 'it was deleted' in result.detail
    assert side.target.count('DELETE', image_id) == 1


def test_a_source_that_breaks_off_is_read_on_after_a_pause(side):
    image_id = side.source.add(DATA)
    side.source.on('GET', 'file', (0, ''))
    assert side.put(image_id).what == 'copied'
    assert side.token.waited == [0.5]
    side.source.on('GET', 'file', (0, ''), times=99)
    side.target.images.clear()
    side.target.used.clear()
    with pytest.raises(errors.Unreachable, match='cannot be reached'):
        side.put(image_id)


def test_members_are_added_where_they_lack(side):
    image_id = side.source.add(DATA, visibility='shared')
    side.source.members[image_id] = ['b', 'a']
    assert side.put(image_id, members=False).what == 'copied'
    assert side.target.members == {}
    side.target.members[image_id] = ['a', 'c']
    result = side.put(image_id, members=True, dry_run=True)
    assert (result.what, result.detail) == ('would update', 'members')
    assert side.put(image_id, members=True).what == 'updated'
    assert side.target.members[image_id] == ['a', 'c', 'b']
    assert side.put(image_id, members=True).what == 'same'
    side.source.images[image_id]['visibility'] = 'private'
    side.target.members.clear()
    side.put(image_id, members=True)
    assert side.target.members == {}


def test_the_target_copies_into_further_stores_or_says_why_not(side):
    image_id = side.source.add(DATA)
    assert side.put(image_id, stores=('s1', 's2')).what == 'copied'
    assert side.target.images[image_id]['stores'] == 's1,s2'
    other = side.source.add(DATA)
    side.target.tasks[other] = [
        {'id': 't', 'created_at': '1', 'status': 'failure', 'message': 'full'},
    ]
    side.target.on('POST', 'import', (202, b''))
    with pytest.raises(errors.ReplicatorError, match='copied to s2: full'):
        side.put(other, stores=('s1', 's2'))


def test_a_stop_ends_it_and_the_next_run_goes_on(side):
    image_id = side.source.add(DATA)
    stopped = errors.Stopped('stop')
    side.target.on('PUT', 'file', lambda: side.token.cancel(stopped) or (0, 0))
    with pytest.raises(errors.Stopped):
        side.put(image_id)
    side.token = Token()
    assert side.put(image_id).what == 'copied'
    assert side.target.images.keys() == {image_id}


def test_a_copy_is_found_by_the_mark_of_its_source():
    other = '33333333-1111-4222-8333-abcdefabcdef'
    image = dumps.image()
    half = dumps.image(b'half', other)
    half.properties.update(mark(image.id))
    alien = dumps.image(b'alien')
    assert comparing.Index([alien, half]).find(image) is half
    assert comparing.Index([half]).others([image]) == []
    assert comparing.Index([alien]).others([half]) == [alien]
