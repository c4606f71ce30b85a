# SPDX-License-Identifier: Apache-2.0

"""Clouds that were not found where they are."""

from openstackclient import shell
import pytest
import yaml

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client
from tests.parts import identity
from tests.parts import redirector

pytestmark = pytest.mark.functional


@pytest.fixture
def regions(cloud_a, cloud_b):
    """Two regions of one cloud, each with its Image service."""
    with (
        replicating.emptied(cloud_a, cloud_b),
        identity.Identity(
            replicating.ADMIN, {'a': cloud_a.url, 'b': cloud_b.url}
        ) as found,
    ):
        yield found


@pytest.fixture
def named(regions, tmp_path):
    """The ways in which clouds.yaml can tell of it, as a variable."""
    path = tmp_path / 'clouds.yaml'
    path.write_text(yaml.safe_dump({'clouds': {
        'listed': {**regions.cloud, 'regions': ['a', 'b']},
        'valued': {**regions.cloud, 'regions': [
            {'name': 'a', 'values': {}}, {'name': 'b', 'values': {}},
        ]},
        # As Horizon writes it.
        'one': {**regions.cloud, 'region_name': 'a'},
        'none': regions.cloud,
        'with/slash': {**regions.cloud, 'region_name': 'b'},
    }}))
    return {'OS_CLIENT_CONFIG_FILE': str(path)}


def test_one_region_of_a_cloud_could_not_be_copied_to_another(
    regions, named, cloud_a, cloud_b
):
    first = Client(cloud_a).create_image(helpers.data(1000))
    done = replicating.here('livecopy', 'listed/a', 'listed/b', **named)
    assert done.by_image() == {first: 'copied'}, done
    replicating.assert_replicated(cloud_a, cloud_b, first)
    Client(cloud_a).delete(first)
    for name in ('listed', 'valued', 'one', 'none', 'env', 'with/slash'):
        for region, count in (('a', 0), ('b', 1)):
            done = replicating.here(
                'size', f'{name}/{region}', **named, **regions.variables,
                # What is said with the name goes first.
                OS_REGION_NAME='a',
            )
            assert done.rows[0]['Images'] == count, (name, region, done)
    done = replicating.here('size', 'with/slash', **named)
    assert done.rows[0]['Images'] == 1
    # It is there for the cloud of a command, too.
    done = replicating.here('fill', 's1', '--server', 'listed/b', **named)
    assert done.by_image() == {first: 'copied'}


def test_the_region_of_the_environment_meant_nothing(
    regions, named, cloud_b
):
    image_id = Client(cloud_b).create_image(helpers.data(1000))
    for given, more in (
        (('listed',), {}), (('one',), {}), (('none',), {}),
        (('env',), regions.variables),
    ):
        done = replicating.here(
            'size', *given, **named, **more, OS_REGION_NAME='b'
        )
        assert done.rows[0]['Images'] == 1, (given, done)
    for given, more in (
        (('--os-region-name', 'b'), {}), ((), {'OS_REGION_NAME': 'b'}),
    ):
        for words in (
            ('size', 'listed'), ('fill', 's1', '--dry-run'),
        ):
            done = replicating.here(
                *given, 'image', 'replicate', *words, program=shell.main,
                OS_CLOUD='listed', **named, **more,
            )
            assert done.status == 0, done
            assert done.rows[0].get('Images') == 1 or (
                done.by_image() == {image_id: 'would copy'}
            )


@pytest.mark.parametrize(('name', 'told'), [
    ('listed/c', 'c region not found'), ('none/c', 'c region not found'),
    ('listed/', 'one of them is missing'), ('/a', 'one of them is missing'),
])
def test_a_region_that_is_not_there_is_one_sentence(named, name, told):
    done = replicating.here('size', name, **named)
    assert done.status == 1
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1, done


def test_an_image_was_not_sent_on_to_where_a_cloud_has_moved(
    cloud_a, cloud_b
):
    with (
        replicating.emptied(cloud_a, cloud_b),
        redirector.Redirector(cloud_a.url, 301) as source,
        redirector.Redirector(cloud_b.url, 308) as target,
    ):
        image_id = Client(cloud_a).create_image(
            helpers.data(), visibility='public'
        )
        done = replicating.livecopy(source, target, '--store=s1')
        assert done.by_image() == {image_id: 'copied'}, done
        replicating.assert_replicated(cloud_a, cloud_b, image_id)
        # Each is asked once, and not about each request again.
        assert len(source.asked) == len(target.asked) == 1


def test_a_token_went_to_whoever_a_cloud_has_named(cloud_a):
    elsewhere = f'http://localhost:{cloud_a.port}'
    with redirector.Redirector(elsewhere) as moved:
        done = replicating.here(*replicating.arguments('size', moved))
    assert done.status == 1
    for part in (f' to {elsewhere}', 'another host',
                 'give the URL of the Image service itself'):
        assert part in done.err
    assert len(done.err.strip().splitlines()) == 1, done
