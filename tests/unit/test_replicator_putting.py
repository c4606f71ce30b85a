# SPDX-License-Identifier: Apache-2.0

"""What the record of a copy has, whatever the source and the target have."""

import hashlib

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
    assert provenance.parse(during[provenance.UNFINISHED]).is_ours
    found = side.target.images[image_id]
    assert (found['visibility'], found['protected']) == ('public', True)
    assert (found['tags'], found['hw_disk']) == (['a', 'b'], 'x')
    assert provenance.UNFINISHED not in found
    assert side.target.data[image_id] == DATA
    assert side.moved == [['one', len(DATA), *[1] * len(DATA)]]
    assert side.token.waited == []


def test_another_image_with_the_same_id_is_left_alone(side):
    image_id = side.source.add(DATA)
    side.target.add(DATA, id=image_id, size=len(DATA) + 1)
    with pytest.raises(errors.ReplicatorError, match='with other data'):
        side.put(image_id)
    side.target.images[image_id]['status'] = 'deactivated'
    with pytest.raises(errors.ReplicatorError, match='which is deactivated'):
        side.put(image_id)
    assert {m for m, _path in side.target.asked} == {'GET'}


NONE = {'os_hash_algo': None, 'os_hash_value': None, 'checksum': None}


@pytest.mark.parametrize('theirs', [
    {}, {'checksum': None}, {'os_hash_algo': None, 'os_hash_value': None},
    NONE,
])
@pytest.mark.parametrize('ours', [
    NONE, {**NONE, 'size': None}, {'checksum': None, 'os_hash_algo': 'odd'},
    {'checksum': None, 'os_hash_algo': 'sha256',
     'os_hash_value': hashlib.sha256(DATA).hexdigest().upper()},
])
def test_an_image_without_a_common_hash_is_sent_once(side, ours, theirs):
    image_id = side.source.add(DATA, **ours)

    def take():
        side.target.fill(image_id, DATA)
        side.target.images[image_id].update(theirs)
        return 204, b''

    side.target.on('PUT', 'file', take)
    result = side.put(image_id)
    assert (result.what, result.copy_id) == ('copied', '')
    assert ('no hash' in result.detail) is (
        ours.get('os_hash_algo') != 'sha256' or theirs == NONE
    )
    assert side.put(image_id).what == 'same'
    assert side.target.count('PUT', 'file') == 1
    # Other bytes are noticed by what was computed on the way.
    side.target.images.clear()
    side.target.on('PUT', 'file', lambda: side.target.fill(
        image_id, b'x' * len(DATA)) or (204, b''))
    assert side.put(image_id).copy_id != image_id
    assert set(side.target.data.values()) >= {DATA}


def test_bytes_are_read_again_where_no_hash_tells_and_much_depends_on_it(
    side
):
    """Anybody may have made an image of that id and that size."""
    image_id = side.source.add(DATA, visibility='public', **NONE)
    side.target.add(b'x' * len(DATA), id=image_id)
    result = side.put(image_id, dry_run=True)
    assert result.what == 'would update'
    assert 'no hash in common' in result.detail
    with pytest.raises(errors.ReplicatorError, match='with other data'):
        side.put(image_id)
    assert side.target.images[image_id]['visibility'] == 'private'
    side.target.add(DATA, id=image_id)
    assert side.put(image_id).what == 'updated'
    assert side.target.images[image_id]['visibility'] == 'public'
    # So it is with the answer to an upload that was lost.
    other = side.source.add(DATA, **NONE)
    side.target.on(
        'PUT', 'file', lambda: side.target.fill(other, DATA) or (0, '')
    )
    assert side.put(other).what == 'copied'
    assert side.target.count('PUT', 'file') == 1


def test_an_image_without_bytes_in_any_store_is_no_empty_one(side):
    image_id = side.source.add(DATA, size=None, **NONE)
    side.source.on('GET', 'file', (204, b''), times=9)
    with pytest.raises(errors.Refused, match='no data of this image in any'):
        side.put(image_id)
    assert side.target.images == {}


POLICY = 'cinder_encryption_key_deletion_policy'


@pytest.mark.parametrize('name', [POLICY, 'os_encrypt_key_deletion_policy'])
def test_a_copy_owns_no_key_unless_that_is_asked_for_and_then_at_last(
    side, name
):
    image_id = side.source.add(
        DATA, protected=True, **{name: 'on_image_deletion'}
    )
    seen = []
    for method in ('PUT', 'PATCH'):
        side.target.on(method, image_id, lambda: seen.append(
            name in side.target.images[image_id]
        ), times=2)
    assert side.put(image_id).what == 'copied'
    # One that an earlier release has copied is taken away.
    side.target.images[image_id][name] = 'on_image_deletion'
    assert side.put(image_id).detail == name
    assert name not in side.target.images[image_id]
    side.target.images.clear()
    side.target.used.clear()
    rules = records.Rules(keep_key_policy=True)
    assert side.put(image_id, rules=rules).what == 'copied'
    assert side.target.images[image_id][name] == 'on_image_deletion'
    assert side.put(image_id, rules=rules).what == 'same'
    assert seen == [False, False, True, False]
    # Another value is a wish, too.
    rules = records.Rules(changed={name: 'do_not_delete'})
    assert side.put(image_id, rules=rules).what == 'updated'
    assert side.target.images[image_id][name] == 'do_not_delete'
    # Under another name it is not let in.
    rules = records.Rules(renamed={'kind': name})
    other = side.source.add(DATA, kind='on_image_deletion')
    assert side.put(other, rules=rules).what == 'copied'
    assert name not in side.target.images[other]


def test_what_an_earlier_release_left_is_deleted_without_its_key(side):
    image_id = side.source.add(DATA)
    side.target.add(b'other', id=image_id, **{
        POLICY: 'on_image_deletion', 'cinder_encryption_key_id': 'k',
        provenance.UNFINISHED: str(provenance.new(image_id)),
    })
    deleted = []
    side.target.on('DELETE', image_id, lambda: deleted.append(
        dict(side.target.images[image_id])
    ))
    assert side.put(image_id).what == 'copied'
    assert POLICY not in deleted[0]
    # So it is if the answer to taking it away was lost.
    lost = side.source.add(DATA)
    side.target.add(b'other', id=lost, **{
        POLICY: 'on_image_deletion',
        provenance.UNFINISHED: str(provenance.new(lost)),
    })
    side.target.on('PATCH', lost, image_api.LOST)
    assert side.put(lost).what == 'copied'
    # Who cannot take the policy away deletes nothing.
    other = side.source.add(DATA)
    side.target.add(b'other', id=other, **{
        POLICY: 'on_image_deletion',
        provenance.UNFINISHED: str(provenance.new(other)),
    })
    side.target.on('PATCH', other, (403, {'message': 'protected'}))
    with pytest.raises(errors.Refused, match='protected'):
        side.put(other)
    assert other in side.target.images


def test_what_the_schema_of_the_target_lets_be_empty_is_copied(side):
    side.target.schema['properties']['kernel_id'] = {
        'type': ['null', 'string'],
    }
    image_id = side.source.add(DATA, kernel_id=None, ramdisk_id=None)
    result = side.put(image_id)
    assert result.what == 'copied'
    assert 'no empty value for ramdisk_id' in result.detail
    found = side.target.images[image_id]
    assert found['kernel_id'] is None
    assert 'ramdisk_id' not in found
    assert side.put(image_id).what == 'same'
    # A server may have no schema to tell.
    side.target.on('GET', 'schemas', (404, {'message': 'no'}))
    other = side.source.add(DATA, kernel_id=None)
    assert 'accepts no empty value' in side.put(other).detail
    # A value that is not wanted any more goes.
    found['ramdisk_id'] = 'x'
    assert side.put(image_id).what == 'updated'
    assert 'ramdisk_id' not in found


def test_a_name_that_a_patch_cannot_name_is_told_of_and_left_alone(side):
    image_id = side.source.add(DATA, **{f' {POLICY}': 'x', '': 'y', 'z ': 'w'})
    assert side.put(image_id).what == 'copied'
    found = side.target.images[image_id]
    assert (found['z '], found[''], found[f' {POLICY}']) == ('w', 'y', 'x')
    del found['z '], found[''], found[f' {POLICY}']
    result = side.put(image_id)
    assert result.what == 'updated'
    assert 'cannot change' in result.detail
    assert found[''] == 'y'
    assert POLICY not in found
    assert side.put(image_id).what == 'same'


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


def test_a_change_that_is_refused_is_told(side):
    image_id = side.source.add(DATA)
    side.target.add(DATA, id=image_id, old='x')
    side.target.on('PATCH', image_id, (409, {'message': 'locked'}), times=2)
    with pytest.raises(errors.Refused, match='locked'):
        side.put(image_id)

    def vanish():
        side.target.images.clear()
        return 409, {'message': 'locked'}

    side.target.on('PATCH', image_id, vanish)
    with pytest.raises(errors.Refused, match='locked'):
        side.put(image_id)
