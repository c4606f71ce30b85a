# SPDX-License-Identifier: Apache-2.0

"""Users who may not do all that the copies of an administrator would need."""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client
from tests.harness import MEMBER

pytestmark = pytest.mark.functional


def test_a_user_who_may_not_publish_could_copy_no_public_image(
    clouds, tmp_path
):
    source, target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(1000), visibility='public')
    shared = client.create_image(helpers.data(1000), visibility='shared')
    client.demand(
        'POST', f'/images/{shared}/members', json={'member': 'friend'}
    )

    def run(*options):
        given = replicating.arguments('livecopy', source, target)
        return replicating.here(
            *given[:-1], f'--to-token={MEMBER}', f'--id={image_id}', *options
        )

    done = run()
    assert done.status == 1
    detail = done.rows[0]['Detail']
    assert 'answers 403' in detail
    assert 'may not make it public' in detail
    assert '--set-visibility private' in detail
    done = run('--set-visibility=private')
    assert (done.status, done.by_image()) == (0, {image_id: 'copied'}), done
    replicating.assert_replicated(
        source, target, image_id, but=('visibility',)
    )
    assert Client(target).image(image_id)['visibility'] == 'private'
    assert run('--set-visibility=private').by_image() == {image_id: 'same'}
    # It is a rule for all commands that make copies, or compare them.
    folder = tmp_path / 'dump'
    replicating.dump(source, folder)
    replicating.empty(target)
    done = replicating.load(
        target, folder, '--set-visibility=private', '--members'
    )
    assert done.status == 0, done
    assert {
        image['visibility'] for image in replicating.images(target).values()
    } == {'private'}
    given = ('--set-visibility=private',)
    assert replicating.compare(source, target, *given).status == 0
    done = replicating.livecopy(source, target, *given, '--members')
    assert set(done.by_image().values()) == {'same'}
    done = replicating.livecopy(source, target, '--members')
    assert set(done.by_image().values()) == {'updated'}
    assert replicating.members(target, shared) == ['friend']
