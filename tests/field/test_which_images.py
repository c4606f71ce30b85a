# SPDX-License-Identifier: Apache-2.0

"""Images that could not be chosen, or that were chosen by mistake."""

import pytest

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client

pytestmark = pytest.mark.functional


def make(cloud, *names, **more):
    """Make images of these names; return {name: id}."""
    client = Client(cloud)
    return {
        name: client.create_image(helpers.data(100), name=name, **more)
        for name in names
    }


def test_several_names_needed_several_runs_and_others_could_not_be_left_out(
    clouds
):
    source, target = clouds
    ids = make(
        source, 'ubuntu-22', 'ubuntu-24', 'ubuntu-24-test', 'debian', 'a*b',
        'a[1]', 'back\\slash', 'quo"te', 'x, "y": 1', '', 'Größe\n2',
    )
    for options, names in (
        (['--name=debian', '--name=ubuntu-22'], 'debian ubuntu-22'),
        (['--name=ubuntu-*'], 'ubuntu-22 ubuntu-24 ubuntu-24-test'),
        (['--name=ubuntu-2?', '--name=deb*'], 'ubuntu-22 ubuntu-24 debian'),
        (['--name=ubuntu-*', '--exclude=*-test'], 'ubuntu-22 ubuntu-24'),
        (['--name=ubuntu-*', '--exclude=*-test', '--exclude=ubuntu-22'],
         'ubuntu-24'),
        (['--name=ubuntu-2[0-3]'], 'ubuntu-22'),
        (['--name=*buntu-22', f'--exclude={ids["debian"]}'], 'ubuntu-22'),
        (['--name=a[1]'], 'a[1]'), (['--name=a*b'], 'a*b'),
        (['--name=back\\slash'], 'back\\slash'), (['--name=quo"te'], 'quo"te'),
        (['--exclude=[!a]*', '--exclude=a?*', '--name='], ''),
    ):
        done = replicating.livecopy(source, target, '--dry-run', *options)
        wanted = {ids[name] for name in names.split(' ')}
        assert set(done.by_image()) == wanted, (options, done)
    done = replicating.livecopy(source, target, '--dry-run', '--name=x, *')
    assert set(done.by_image()) == {ids['x, "y": 1']}
    done = replicating.livecopy(source, target, '--dry-run', '--name=*2')
    assert set(done.by_image()) == {ids['ubuntu-22'], ids['Größe\n2']}


def test_a_copy_of_last_night_was_thought_an_image_of_nobody(clouds):
    """The copies are newer than the images that they are copies of."""
    source, target = clouds
    ids = make(source, 'old', 'new')
    source.execute(
        'UPDATE images SET created_at = :when WHERE id = :id',
        when='2026-01-01 00:00:00', id=ids['old'],
    )
    since = '--newer-than=2026-01-01T12:00:00Z'
    done = replicating.livecopy(source, target, '--dry-run', since)
    assert set(done.by_image()) == {ids['new']}, done
    replicating.livecopy(source, target)
    assert replicating.compare(source, target, since).status == 0
    # Nor is one extra whose original has another name by now.
    Client(source).patch(
        ids['old'], {'op': 'replace', 'path': '/name', 'value': 'other'}
    )
    done = replicating.compare(
        source, target, '--name=old', '--allow-empty'
    )
    assert (done.status, done.rows) == (0, [])
    extra = make(target, 'extra')['extra']
    for options in ([], [since], ['--name=e*'], ['--exclude=new']):
        done = replicating.compare(source, target, *options)
        assert extra in {row['Image'] for row in done.rows}
    done = replicating.compare(source, target, since, '--exclude=extra')
    assert (done.status, done.rows) == (0, [])


def test_a_property_with_the_name_of_a_parameter_meant_other_images(clouds):
    source, _target = clouds
    meant = make(source, 'meant', limit='1', marker='x', sort_key='y')
    make(source, 'other', limit='2')
    for given in ('limit=1', 'marker=x', 'sort_key=y'):
        done = replicating.here(
            *replicating.arguments('size', source), f'--property={given}'
        )
        assert done.rows[0]['Images'] == len(meant), (given, done)
    for given in ('os_hidden=true', 'status=queued', 'name=meant'):
        done = replicating.here(
            *replicating.arguments('size', source), f'--property={given}'
        )
        assert done.status == 1
        assert 'not a property that users can set' in done.err
