# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate livecopy``, ``compare`` and ``size``, on real clouds."""

import contextlib
import os
import pty
import subprocess

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional


@pytest.fixture
def clouds(cloud_a, cloud_b):
    """Two clouds that are empty, and are emptied again."""
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


def test_an_image_arrives_with_its_id_and_everything_that_it_is(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(
        helpers.data(3 * MIB + 1), name='späte Birne, 1:2', tags=['a', 'b'],
        visibility='public', min_disk=3, min_ram=128, protected=True,
        hw_disk_bus='virtio', **{'with/slash~tilde': 'x', 'empty': ''},
    )
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert done.by_image() == {image_id: 'copied'}
    replicating.assert_replicated(source, target, image_id)


def test_hidden_community_and_empty_images_are_copied_too(clouds):
    source, target = clouds
    client = Client(source)
    ids = [
        client.create_image(helpers.data(1000), os_hidden=True),
        client.create_image(helpers.data(1000), visibility='community'),
        client.create_image(b''),
    ]
    assert replicating.livecopy(source, target).status == 0
    for image_id in ids:
        replicating.assert_replicated(source, target, image_id)


def test_what_is_there_already_is_skipped(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    replicating.livecopy(source, target)
    before = Client(target).image(image_id)
    done = replicating.livecopy(source, target)
    assert done.status == 0
    assert done.by_image() == {image_id: 'same'}
    assert Client(target).image(image_id) == before


@pytest.mark.parametrize('more', [(), ('--metadata-only',)])
def test_metadata_that_differ_are_updated(clouds, more):
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
    done = replicating.livecopy(source, target, *more)
    assert done.by_image() == {image_id: 'updated'}
    assert done.rows[0]['Detail'] == (
        'added, gone, name, other, tags, visibility'
    )
    replicating.assert_replicated(source, target, image_id)


def test_metadata_only_copies_no_image(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data())
    done = replicating.livecopy(source, target, '--metadata-only')
    assert done.status == 0
    assert replicating.images(target) == {}


def test_a_dry_run_changes_nothing(clouds):
    source, target = clouds
    client = Client(source)
    old = client.create_image(helpers.data())
    replicating.livecopy(source, target)
    client.patch(old, {'op': 'replace', 'path': '/name', 'value': 'other'})
    new = client.create_image(helpers.data(2 * MIB))
    before = replicating.images(target)
    done = replicating.livecopy(source, target, '--dry-run')
    assert done.by_image() == {old: 'would update', new: 'would copy'}
    assert sum(row['Bytes'] for row in done.rows) == 2 * MIB
    assert replicating.images(target) == before


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


def test_another_image_with_the_same_id_is_left_alone(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    Client(target).create_image(helpers.data(), id=image_id, name='theirs')
    before = Client(target).image(image_id)
    done = replicating.livecopy(source, target)
    assert done.status == 1
    assert done.by_image() == {image_id: 'failed'}
    assert 'another image with this id' in done.rows[0]['Detail']
    assert Client(target).image(image_id) == before


def test_a_record_without_data_that_is_not_ours_is_left_alone(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    Client(target).new_image(id=image_id)
    done = replicating.livecopy(source, target)
    assert done.status == 1
    assert 'which is queued' in done.rows[0]['Detail']
    assert Client(target).image(image_id)['status'] == 'queued'


def test_members_are_copied_when_that_is_asked_for(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(), visibility='shared')
    for project in ('one', 'two'):
        client.demand(
            'POST', f'/images/{image_id}/members', json={'member': project}
        )

    def members():
        found = Client(target).demand('GET', f'/images/{image_id}/members')
        return sorted(m['member_id'] for m in found.json()['members'])

    replicating.livecopy(source, target)
    assert members() == []
    done = replicating.livecopy(source, target, '--members')
    assert done.by_image() == {image_id: 'updated'}
    assert members() == ['one', 'two']
    done = replicating.livecopy(source, target, '--members')
    assert done.by_image() == {image_id: 'same'}


def test_members_of_a_new_copy_are_there_at_once(clouds):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(), visibility='shared')
    client.demand(
        'POST', f'/images/{image_id}/members', json={'member': 'one'}
    )
    private = client.create_image(helpers.data(), visibility='private')
    done = replicating.livecopy(source, target, '--members')
    assert done.by_image() == {image_id: 'copied', private: 'copied'}
    found = Client(target).demand('GET', f'/images/{image_id}/members').json()
    assert [each['member_id'] for each in found['members']] == ['one']


def test_properties_are_dropped_renamed_and_changed(clouds):
    source, target = clouds
    image_id = Client(source).create_image(
        helpers.data(), secret='x', tmp_one='1', tmp_two='2', old='v',
        region='north',
    )
    rules = (
        '--drop-property=secret', '--drop-property=tmp_*',
        '--map-property=old=new', '--set-property=region=south',
        '--set-property=absent=x',
    )
    assert replicating.livecopy(source, target, *rules).status == 0
    found = Client(target).image(image_id)
    assert {'secret', 'tmp_one', 'tmp_two', 'old', 'absent'}.isdisjoint(found)
    assert (found['new'], found['region']) == ('v', 'south')
    assert replicating.compare(source, target, *rules).status == 0
    assert replicating.compare(source, target).status == 1


@pytest.mark.parametrize('option', [
    '--name=right, "one": 1', '--name=in:right', '--property=kind=right',
    '--tag=right', '--owner=demo', '--visibility=public', '--id={}',
])
def test_only_the_images_that_a_filter_means_are_copied(clouds, option):
    source, target = clouds
    client = Client(source)
    client.create_image(helpers.data(), name='wrong', kind='wrong')
    name = option.partition('--name=')[2] or 'right'
    right = client.create_image(
        helpers.data(), name=name, kind='right', tags=['right', 'x'],
        visibility='public', owner='demo',
    )
    done = replicating.livecopy(source, target, option.format(right))
    assert done.by_image() == {right: 'copied'}, done
    assert list(replicating.images(target)) == [right]


def test_an_unknown_id_is_an_error_and_nothing_is_done(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data())
    nobody = '11111111-2222-4333-8444-555555555555'
    done = replicating.livecopy(source, target, f'--id={nobody}')
    assert done.status == 1
    assert f'There is no image {nobody}' in done.err
    assert replicating.images(target) == {}


def test_images_go_to_the_stores_that_are_named(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    done = replicating.livecopy(
        source, target, '--store=s2', '--store=s1', '--store=s3'
    )
    assert done.status == 0, done
    assert sorted(Client(target).stores(image_id)) == ['s1', 's2', 's3']
    replicating.assert_replicated(source, target, image_id)


def test_an_unknown_store_is_one_sentence(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data())
    done = replicating.livecopy(source, target, '--store=nowhere')
    assert done.status == 1
    assert 'nowhere' in done.rows[0]['Detail']
    assert '\n' not in done.rows[0]['Detail']


def test_only_images_that_are_active_are_copied(clouds):
    source, target = clouds
    client = Client(source)
    client.new_image()
    off = client.create_image(helpers.data())
    client.demand('POST', f'/images/{off}/actions/deactivate')
    done = replicating.livecopy(source, target)
    assert (done.status, done.rows) == (0, [])


def test_a_user_copies_what_the_user_sees(clouds):
    source, target = clouds
    Client(source).create_image(helpers.data(), visibility='private')
    mine = Client(source, 'alice:demo:member,reader').create_image(
        helpers.data(), visibility='private'
    )
    done = replicating.run(*replicating.arguments(
        'livecopy', source, target, token='alice:demo:member,reader'
    ))
    assert done.by_image() == {mine: 'copied'}
    assert Client(target).image(mine)['owner'] == 'demo'


def test_an_administrator_keeps_owners_if_that_is_asked_for(clouds):
    source, target = clouds
    mine = Client(source, 'alice:demo:member,reader').create_image(
        helpers.data()
    )
    assert replicating.livecopy(source, target, '--keep-owner').status == 0
    assert Client(target).image(mine)['owner'] == 'demo'


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
    done = replicating.compare(source, target)
    assert done.status == 1
    assert {
        row['Image']: (row['Difference'], row['Fields']) for row in done.rows
    } == {
        changed: ('different', 'name'), missing: ('missing', ''),
        unlike: ('different', 'data'), extra: ('extra', ''),
    }


def test_compare_of_the_same_has_the_status_0(clouds):
    source, target = clouds
    replicating.small(Client(source), 2)
    assert replicating.compare(source, target).status == 1
    replicating.livecopy(source, target)
    done = replicating.compare(source, target)
    assert (done.status, done.rows) == (0, [])


def test_size_counts_what_would_be_written(clouds):
    source, _target = clouds
    client = Client(source)
    client.create_image(helpers.data(MIB), tags=['x'])
    client.create_image(helpers.data(2 * MIB))
    client.new_image()

    def size(*more):
        (row,) = replicating.run(
            *replicating.arguments('size', source), *more
        ).rows
        return row['Images'], row['Bytes']

    assert size() == (2, 3 * MIB)
    assert size('--tag=x') == (1, MIB)
    assert size('--tag=y') == (0, 0)


def test_bandwidth_is_kept(clouds):
    source, target = clouds
    replicating.small(Client(source), 3, size=MIB)
    running = replicating.start(
        *replicating.arguments('livecopy', source, target),
        '--bandwidth=1M', '--workers=3',
    )
    # Three seconds' worth of bytes cannot all be there after one image's.
    helpers.wait_until(lambda: any(
        image['status'] == 'active'
        for image in replicating.images(target).values()
    ), 'the first image')
    assert running.poll() is None
    assert replicating.finish(running).status == 0


def test_on_a_terminal_there_are_bars(clouds):
    source, target = clouds
    replicating.small(Client(source), 2, size=MIB)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            *replicating.COMMAND,
            *replicating.arguments('livecopy', source, target),
            '--bandwidth=1M',
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
        env=replicating.environment(TERM='xterm'),
    ):
        os.close(theirs)
        shown = b''
        with contextlib.suppress(OSError), open(ours, 'rb', 0) as terminal:
            while found := terminal.read(4096):
                shown += found
    text = shown.decode()
    assert '2/2 images' in text
    assert 'small 0' in text
    assert '/s' in text
