# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate livecopy``, ``compare`` and ``size``, on real clouds.

What becomes of an image on a target that has some of it already:
tests/unit/test_replicator_putting.py.
"""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

MEMBER = 'alice:demo:member,reader'


@pytest.fixture
def clouds(cloud_a, cloud_b):
    """Two clouds that are empty, and are emptied again."""
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


def share(client, image_id, *projects):
    for project in projects:
        client.demand(
            'POST', f'/images/{image_id}/members', json={'member': project}
        )


def test_images_arrive_with_their_ids_and_everything_that_they_are(clouds):
    source, target = clouds
    client = Client(source)
    ids = [
        client.create_image(
            helpers.data(2 * MIB + 1), name='späte Birne, 1:2',
            tags=['a', 'b'], visibility='public', min_disk=3, min_ram=128,
            protected=True, hw_disk_bus='virtio',
            **{'with/slash~tilde': 'x', 'empty': ''},
        ),
        client.create_image(helpers.data(1000), os_hidden=True),
        client.create_image(helpers.data(1000), visibility='community'),
        client.create_image(b''),
    ]
    client.new_image()
    off = client.create_image(helpers.data(1000))
    client.demand('POST', f'/images/{off}/actions/deactivate')
    (size,) = replicating.here(
        *replicating.arguments('size', source)
    ).rows
    assert (size['Images'], size['Bytes']) == (4, 2 * MIB + 2001)
    assert replicating.compare(source, target).status == 1
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert done.by_image() == dict.fromkeys(ids, 'copied')
    for image_id in ids:
        replicating.assert_replicated(source, target, image_id)
    before = replicating.images(target)
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert done.by_image() == dict.fromkeys(ids, 'same')
    assert replicating.images(target) == before
    done = replicating.compare(source, target)
    assert (done.status, done.rows) == (0, [])


def test_metadata_that_differ_are_updated(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(
        helpers.data(), tags=['old'], gone='soon', kept='1', other='1'
    )
    replicating.livecopy(source, target)
    client.patch(
        image_id,
        {'op': 'replace', 'path': '/name', 'value': 'renamed'},
        {'op': 'replace', 'path': '/tags', 'value': ['new']},
        {'op': 'remove', 'path': '/gone'},
        {'op': 'replace', 'path': '/other', 'value': '2'},
        {'op': 'add', 'path': '/added', 'value': 'x'},
        {'op': 'replace', 'path': '/visibility', 'value': 'public'},
    )
    done = replicating.livecopy(source, target)
    assert done.by_image() == {image_id: 'updated'}
    assert done.rows[0]['Detail'] == (
        'added, gone, name, other, tags, visibility'
    )
    replicating.assert_replicated(source, target, image_id)


def test_an_id_that_cannot_be_had_again_is_remembered(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    replicating.livecopy(source, target)
    Client(target).delete(image_id)
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    copy_id = done.rows[0]['Copy']
    assert copy_id not in ('', image_id)
    assert Client(target).image(copy_id)[replicating.SOURCE] == image_id
    replicating.assert_replicated(source, target, image_id, copy_id)
    again = replicating.livecopy(source, target)
    assert again.by_image() == {image_id: 'same'}
    assert len(replicating.images(target)) == 1
    assert replicating.compare(source, target).status == 0


def test_members_are_copied_when_that_is_asked_for(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(), visibility='shared')
    share(client, image_id, 'one', 'two')
    replicating.livecopy(source, target)
    assert replicating.members(target, image_id) == []
    new = client.create_image(helpers.data(), visibility='shared')
    share(client, new, 'three')
    private = client.create_image(helpers.data(), visibility='private')
    done = replicating.livecopy(source, target, '--members')
    assert done.by_image() == {
        image_id: 'updated', new: 'copied', private: 'copied',
    }
    assert replicating.members(target, image_id) == ['one', 'two']
    assert replicating.members(target, new) == ['three']
    done = replicating.livecopy(source, target, '--members')
    assert set(done.by_image().values()) == {'same'}


def test_only_the_images_that_a_filter_means_are_copied(clouds):
    source, target = clouds
    client = Client(source)
    client.create_image(helpers.data(1000), name='wrong', kind='wrong')
    right = client.create_image(
        helpers.data(1000), name='right, "one": 1', kind='right',
        tags=['right', 'x'], visibility='public', owner='demo',
    )
    odd = client.create_image(helpers.data(1000), name='in:right')
    for option, meant in (
        ('--name=right, "one": 1', right), ('--name=in:right', odd),
        ('--property=kind=right', right), ('--tag=right', right),
        ('--owner=demo', right), ('--visibility=public', right),
        (f'--id={right}', right),
    ):
        done = replicating.livecopy(source, target, '--dry-run', option)
        assert done.by_image() == {meant: 'would copy'}, option
    nobody = '11111111-2222-4333-8444-555555555555'
    done = replicating.livecopy(source, target, f'--id={nobody}')
    assert done.status == 1
    assert f'There is no image {nobody}' in done.err
    assert replicating.images(target) == {}


def test_images_go_to_the_stores_that_are_named(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    done = replicating.livecopy(source, target, '--store=nowhere')
    assert done.status == 1
    assert 'nowhere' in done.rows[0]['Detail']
    assert '\n' not in done.rows[0]['Detail']
    done = replicating.livecopy(
        source, target, '--store=s2', '--store=s1', '--store=s3'
    )
    assert done.status == 0, done
    assert sorted(Client(target).stores(image_id)) == ['s1', 's2', 's3']
    replicating.assert_replicated(source, target, image_id)


def test_a_user_copies_what_the_user_sees_and_administrators_all(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data(), visibility='private')
    alice = Client(source, MEMBER)
    mine = alice.create_image(helpers.data(), visibility='private')
    done = replicating.here(*replicating.arguments(
        'livecopy', source, target, token=MEMBER
    ))
    assert done.by_image() == {mine: 'copied'}
    assert Client(target).image(mine)['owner'] == 'demo'
    later = alice.create_image(helpers.data())
    assert replicating.livecopy(source, target, '--keep-owner').status == 0
    assert Client(target).image(later)['owner'] == 'demo'


def test_compare_tells_what_differs(clouds):
    source, target = clouds
    client, other = Client(source), Client(target)
    same, changed, missing, unlike = replicating.small(client, 4)
    for image_id in (missing, unlike):
        client.patch(image_id, {
            'op': 'add', 'path': '/tags', 'value': ['later'],
        })
    replicating.livecopy(source, target, '--id', same, '--id', changed)
    client.patch(changed, {'op': 'replace', 'path': '/name', 'value': 'x'})
    other.create_image(
        helpers.data(10), id=unlike, name='small 3', tags=['later']
    )
    extra = other.create_image(helpers.data())
    differences = {
        changed: ('different', 'name'), missing: ('missing', ''),
        unlike: ('different', 'data'), extra: ('extra', ''),
    }
    for more, wanted in (
        ((), differences), (('--all',), {**differences, same: ('same', '')}),
    ):
        done = replicating.compare(source, target, *more)
        assert done.status == 1
        assert {
            row['Image']: (row['Difference'], row['Fields'])
            for row in done.rows
        } == wanted
