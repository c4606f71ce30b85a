# SPDX-License-Identifier: Apache-2.0

"""What options of the commands do, with two small Image services."""

import pytest

from glance_copy_plugin.replicator import records
from glance_copy_plugin.replicator.commands import arguments
from tests.functional import replicating
from tests.parts import image_api
from tests.unit.test_replicator_records import parsed

DATA = b'the bytes of an image'


@pytest.fixture
def sides():
    with image_api.ImageApi() as source, image_api.ImageApi() as target:
        yield source, target


def test_options_say_how_records_differ():
    found = arguments.rules(parsed(
        '--drop-property=a', '--drop-property=b*', '--map-property=old=new',
        '--set-property=region=south', '--keep-owner',
        add=(arguments.add_rules,),
    ))
    assert found == records.Rules(
        renamed={'old': 'new'}, changed={'region': 'south'},
        dropped=('a', 'b*'), keep_owner=True,
    )
    nothing = arguments.rules(parsed(add=(arguments.add_rules,)))
    assert nothing == records.Rules()


def test_livecopy_changes_only_what_it_is_told_to(sides):
    source, target = sides
    old, new = source.add(DATA, name='renamed'), source.add(DATA)
    half = source.add(DATA)
    target.add(DATA, id=old)
    target.add(
        None, id=half, glance_replicate_unfinished=f'{half} elsewhere 5 5'
    )
    done = replicating.livecopy(source, target, '--dry-run')
    assert done.status == 0, done
    assert done.by_image() == {
        old: 'would update', new: 'would copy', half: 'would copy',
    }
    assert '2 would copy' in done.err
    assert f'; {2 * len(DATA)} B' in done.err
    done = replicating.livecopy(source, target, '--metadata-only')
    assert done.by_image() == {old: 'updated', new: 'same', half: 'same'}
    done = replicating.livecopy(source, target)
    assert done.status == 1
    assert done.by_image() == {old: 'same', new: 'copied', half: 'failed'}
    done = replicating.livecopy(source, target, '--redo-unfinished')
    assert done.status == 0, done
    assert done.by_image() == {old: 'same', new: 'same', half: 'copied'}
    assert set(target.data.values()) == {DATA}


def test_the_first_store_is_written_to_and_the_target_copies_to_others(sides):
    source, target = sides
    image_id = source.add(DATA)
    done = replicating.livecopy(source, target, '--store=s1', '--store=s2')
    assert done.status == 0, done
    sent = [
        headers.get('X-Image-Meta-Store')
        for (method, _path), headers in zip(
            target.asked, target.headers, strict=True
        ) if method == 'PUT'
    ]
    assert sent == ['s1']
    assert target.images[image_id]['stores'] == 's1,s2'


def test_an_image_without_a_size_is_counted_as_nothing(sides):
    source, target = sides
    image_id = source.add(DATA, size=None)
    done = replicating.here(
        *replicating.arguments('size', source), '--visibility=private'
    )
    assert (done.rows[0]['Images'], done.rows[0]['Bytes']) == (1, 0)
    done = replicating.compare(source, target)
    assert done.status == 1
    assert done.rows[0] == {
        'Image': image_id, 'Name': 'one', 'Difference': 'missing',
        'Fields': '', 'Bytes': 0,
    }
