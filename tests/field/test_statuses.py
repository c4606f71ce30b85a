# SPDX-License-Identifier: Apache-2.0

"""Scripts that were told the wrong thing by an exit status."""

import pytest

from tests.functional import replicating
from tests.parts import dumps
from tests.parts import image_api

SAME, DIFFERENT, TROUBLE = 0, 1, 2


@pytest.fixture
def clouds():
    with image_api.ImageApi() as north, image_api.ImageApi() as south:
        yield north, south


def test_clouds_that_could_not_be_compared_were_taken_for_different(clouds):
    north, south = clouds
    image_id = north.add()
    assert replicating.compare(north, south).status == DIFFERENT
    replicating.livecopy(north, south)
    assert replicating.compare(north, south).status == SAME
    for given in (
        (north.url, 'http://127.0.0.1:9'), (north.url, 'nowhere'),
        (north.url, south.url, '--id=golden'), (north.url,),
        (north.url, south.url, '--to-token-file=/none'),
        (north.url, south.url, '--id=11111111-1111-4111-8111-111111111111'),
    ):
        done = replicating.here('compare', *given, '--retries=0')
        assert done.status == TROUBLE, given
        assert done.err
    # What nobody has thought of is no difference either.
    south.images[image_id]['tags'] = 7
    done = replicating.compare(north, south)
    assert done.status == TROUBLE
    for status in (401, 403, 500):
        south.on('GET', '/images', (status, {'message': 'no'}), times=9)
        done = replicating.compare(north, south, '--retries=0')
        assert done.status == TROUBLE


def test_a_filter_with_a_typing_error_was_a_success(clouds, tmp_path):
    north, south = clouds
    north.add(name='golden')
    dump = dumps.make(tmp_path / 'dump')
    for command, status, run in (
        ('compare', TROUBLE, lambda *o: replicating.compare(*clouds, *o)),
        ('livecopy', 1, lambda *o: replicating.livecopy(*clouds, *o)),
        ('size', 1, lambda *o: replicating.here('size', north.url, *o)),
        ('fill', 1, lambda *o: replicating.on(north, 'fill', 's2', *o)),
        ('dump', 1, lambda *o: replicating.dump(north, tmp_path / 'd', *o)),
        ('load', 1, lambda *o: replicating.load(south, dump, *o)),
    ):
        done = run('--name=goldne')
        assert done.status == status, (command, done)
        assert 'no active image that meets the filters' in done.err, command
        done = run('--name=goldne', '--allow-empty')
        assert done.status == 0, (command, done)
        assert 'no active image that meets the filters' in done.err, command
    assert south.images == {}
    assert {method for method, _path in north.asked} == {'GET'}


def test_a_cloud_without_images_is_said_to_have_none(clouds):
    north, south = clouds
    for done in (
        replicating.livecopy(north, south), replicating.compare(north, south),
    ):
        assert done.status == 0
        assert f'{north.url} has no active image.' in done.err


def test_an_image_that_was_named_and_is_not_active_was_left_out_silently(
    clouds
):
    north, south = clouds
    good, off = north.add(), north.add(status='deactivated')
    done = replicating.livecopy(north, south, f'--id={good}', f'--id={off}')
    assert done.status == 1
    assert f'{off} on {north.url} is deactivated' in done.err
    assert replicating.livecopy(north, south, f'--id={good}').status == 0
