# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate`` between two real clouds, and how it reaches them.

What becomes of an image on a target that has some of it already:
tests/unit/test_replicator_putting.py.
"""

from openstackclient import shell
import pytest
import yaml

from tests.functional import helpers
from tests.functional import replicating
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import MEMBER
from tests.irods_server import certificate
from tests.parts import proxy

pytestmark = pytest.mark.functional


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
        client.create_image(b'', visibility='shared'),
    ]
    share(client, ids[3], 'one', 'two')
    client.new_image()
    off = client.create_image(helpers.data(1000))
    client.demand('POST', f'/images/{off}/actions/deactivate')
    (size,) = replicating.here(*replicating.arguments('size', source)).rows
    assert (size['Images'], size['Bytes']) == (4, 2 * MIB + 2001)
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
    # Members are copied when that is asked for.
    assert replicating.members(target, ids[3]) == []
    done = replicating.livecopy(source, target, '--members')
    assert done.by_image()[ids[3]] == 'updated'
    assert replicating.members(target, ids[3]) == ['one', 'two']


def test_what_has_changed_is_told_and_updated(clouds):
    source, target = clouds
    client = Client(source)
    changed = client.create_image(
        helpers.data(), tags=['old'], gone='soon', kept='1', other='1'
    )
    lost, same = replicating.small(client, 2)
    replicating.livecopy(source, target)
    client.patch(
        changed,
        {'op': 'replace', 'path': '/name', 'value': 'renamed'},
        {'op': 'replace', 'path': '/tags', 'value': ['new']},
        {'op': 'remove', 'path': '/gone'},
        {'op': 'replace', 'path': '/other', 'value': '2'},
        {'op': 'add', 'path': '/added', 'value': 'x'},
        {'op': 'replace', 'path': '/visibility', 'value': 'public'},
    )
    Client(target).delete(lost)
    extra = Client(target).create_image(helpers.data())
    fields = 'added, gone, name, other, tags, visibility'
    differences = {
        changed: ('different', fields), lost: ('missing', ''),
        extra: ('extra', ''),
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
    Client(target).delete(extra)
    done = replicating.livecopy(source, target)
    assert done.status == 0, done
    assert done.by_image() == {
        changed: 'updated', lost: 'copied', same: 'same',
    }
    rows = {row['Image']: row for row in done.rows}
    assert rows[changed]['Detail'] == fields
    replicating.assert_replicated(source, target, changed)
    # An id that was deleted cannot be had again: the copy tells whose it is.
    copy_id = rows[lost]['Copy']
    assert copy_id not in ('', lost)
    assert Client(target).image(copy_id)[replicating.SOURCE] == lost
    replicating.assert_replicated(source, target, lost, copy_id)
    done = replicating.livecopy(source, target)
    assert set(done.by_image().values()) == {'same'}
    done = replicating.compare(source, target)
    assert (done.status, done.rows) == (0, [])


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
        ('--owner=demo', right),
    ):
        done = replicating.livecopy(source, target, '--dry-run', option)
        assert done.by_image() == {meant: 'would copy'}, option
    assert replicating.images(target) == {}


def test_images_go_to_the_stores_that_are_named(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    done = replicating.livecopy(
        source, target, '--store=s2', '--store=s1', '--store=s3'
    )
    assert done.status == 0, done
    assert Client(target).stores(image_id) == ['s1', 's2', 's3']
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


# How clouds are named and reached.

def variables(cloud):
    return {
        'OS_AUTH_TYPE': 'admin_token', 'OS_ENDPOINT': cloud.url,
        'OS_TOKEN': replicating.ADMIN,
    }


def openstack(*given, **more):
    """Run the stock client in this process."""
    return replicating.here(*given, program=shell.main, **more)


def test_clouds_are_named_and_tokens_given_in_several_ways(clouds, tmp_path):
    source, target = clouds
    Client(source).create_image(helpers.data(1000))
    path = tmp_path / 'token'
    path.write_text(f'{replicating.ADMIN}\n')
    token = f'--token={replicating.ADMIN}'
    for given, more in (
        (('env',), variables(source)),
        ((f'127.0.0.1:{source.port}', token), {}),
        ((f'{source.url}/v2/', '--token-file', path), {}),
        ((source.url,), {'GLANCE_REPLICATE_TOKEN': replicating.ADMIN}),
    ):
        done = replicating.here('size', *given, **more)
        assert done.rows[0]['Images'] == 1, (given, done)
    done = replicating.here(
        'livecopy', source.url, target.url, '--from-token-file', path,
        GLANCE_REPLICATE_TO_TOKEN=replicating.ADMIN,
    )
    assert list(done.by_image().values()) == ['copied'], done


@pytest.mark.parametrize(('given', 'told'), [
    (('nowhere',), 'nowhere'),
    (('ftp://host',), 'begins with https'),
    (('http://user:pass@host',), 'Do not put a user or password'),
    (('http://[bad',), 'Not a valid URL'),
    (('nowhere', '--token=x'), 'only be used with a URL'),
    (('http://127.0.0.1:9',), 'cannot be reached: Connection refused'),
    (('http://127.0.0.1:9', '--token-file=/none'), '/none'),
    (('http://127.0.0.1:9', '--token=x', '--token-file=y'), 'not both'),
])
def test_a_cloud_that_cannot_be_is_one_sentence(given, told):
    done = replicating.here('size', *given)
    assert done.status == 1
    assert told in done.err
    assert 'user:pass' not in done.err
    assert len(done.err.strip().splitlines()) == 1, done


def test_a_token_that_is_not_accepted_is_one_sentence(clouds):
    done = replicating.here('size', clouds[0].url, '--token=nobody')
    assert done.status == 1
    assert 'answers 401' in done.err
    assert len(done.err.strip().splitlines()) == 1, done


def test_a_certificate_is_verified_unless_told_otherwise(clouds, tmp_path):
    context, trusted = certificate.make(tmp_path)
    with proxy.Proxy(clouds[0].port, tls=context) as line:
        given = ('size', line.url, f'--token={replicating.ADMIN}')
        done = replicating.here(*given)
        assert done.status == 1
        assert 'certificate' in done.err.lower()
        done = replicating.here(*given, '--cacert', trusted)
        assert done.status == 0, done
        assert 'certificate' not in done.err
        done = replicating.here(*given, '--insecure')
        assert done.status == 0, done
        assert f'The certificate of {line.url} is not verified.' in done.err


def test_openstack_copies_an_image_into_further_stores(clouds):
    source, _target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(), name='by name')
    done = openstack(
        'image', 'copy', 'by name', '--store', 's1', '--store', 's2',
        '--wait', **variables(source),
    )
    assert done.status == 0, done
    assert done.by_image() == {image_id: 'copied'}
    helpers.assert_copied(source, client, image_id, ['s1', 's2'])
    # It need not wait for a copy.
    done = openstack(
        'image', 'copy', image_id, '--store', 's3', **variables(source)
    )
    assert done.by_image() == {image_id: 'asked for'}
    client.wait_copy(image_id)
    done = openstack('image', 'copy', 'watch', image_id, **variables(source))
    assert done.rows[0]['Status'] == 'success', done
    done = openstack(
        'image', 'copy', 'another', '--store', 's1', **variables(source)
    )
    assert done.status == 1
    assert 'There is no image' in done.err


def test_clouds_of_clouds_yaml_are_known_by_name(clouds, tmp_path):
    source, target = clouds
    path = tmp_path / 'clouds.yaml'
    path.write_text(yaml.safe_dump({'clouds': {
        name: {
            'auth_type': 'admin_token',
            'auth': {'endpoint': cloud.url, 'token': replicating.ADMIN},
            'image_endpoint_override': cloud.url,
        } for name, cloud in (('north', source), ('south', target))
    }}))
    known = {'OS_CLIENT_CONFIG_FILE': str(path)}
    first = Client(source).create_image(helpers.data())
    done = replicating.here('livecopy', 'north', 'south', **known)
    assert done.by_image() == {first: 'copied'}, done
    second = Client(source).create_image(helpers.data())
    done = openstack(
        'image', 'replicate', 'livecopy', 'north', 'south', **known,
        OS_CLOUD='north',
    )
    assert done.by_image() == {first: 'same', second: 'copied'}, done
    replicating.assert_replicated(source, target, second)
