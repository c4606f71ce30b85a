# SPDX-License-Identifier: Apache-2.0

"""How ``glance-replicate`` and ``openstack`` reach clouds, and log in."""

from openstackclient import shell
import pytest
import yaml

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client
from tests.irods_server import certificate
from tests.parts import proxy

pytestmark = pytest.mark.functional


@pytest.fixture
def clouds(cloud_a, cloud_b):
    with replicating.emptied(cloud_a, cloud_b):
        yield cloud_a, cloud_b


@pytest.fixture
def described(clouds, tmp_path):
    """The environment of someone with both clouds in clouds.yaml."""
    path = tmp_path / 'clouds.yaml'
    path.write_text(yaml.safe_dump({'clouds': {
        name: {
            'auth_type': 'admin_token',
            'auth': {'endpoint': cloud.url, 'token': replicating.ADMIN},
            'image_endpoint_override': cloud.url,
        } for name, cloud in zip(('north', 'south'), clouds, strict=True)
    }}))
    return {'OS_CLIENT_CONFIG_FILE': str(path)}


def variables(cloud, token=replicating.ADMIN):
    return {
        'OS_AUTH_TYPE': 'admin_token', 'OS_ENDPOINT': cloud.url,
        'OS_TOKEN': token,
    }


def test_clouds_of_clouds_yaml_are_known_by_name(clouds, described):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    done = replicating.here('livecopy', 'north', 'south', **described)
    assert done.by_image() == {image_id: 'copied'}, done
    replicating.assert_replicated(source, target, image_id)


def test_clouds_are_named_and_tokens_given_in_several_ways(clouds, tmp_path):
    source, target = clouds
    Client(source).create_image(helpers.data(1000))
    path = tmp_path / 'token'
    path.write_text(f'{replicating.ADMIN}\n')
    token = f'--token={replicating.ADMIN}'
    for given, more in (
        (('env',), variables(source)),
        ((f'127.0.0.1:{source.port}', token), {}),
        ((f'localhost:{source.port}', '--token-file', path), {}),
        ((f'{source.url}/v2/', token), {}),
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
    (('http://user:pass@host',), 'holds no user and password'),
    (('http://[bad',), 'not valid'),
    (('nowhere', '--token=x'), 'A token goes with a URL'),
    (('http://127.0.0.1:9',), 'cannot be reached: Connection refused'),
    (('http://127.0.0.1:9', '--token-file=/none'), '/none'),
    (('http://127.0.0.1:9', '--token=x', '--token-file=y'), 'exclude'),
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
        assert done.err == ''
        done = replicating.here(*given, '--insecure')
        assert done.status == 0, done
        assert f'The certificate of {line.url} is not verified.' in done.err


def openstack(*given, **more):
    """Run the stock client in this process."""
    return replicating.here(*given, program=shell.main, **more)


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
    for name in ('another', '11111111-2222-4333-8444-555555555555'):
        done = openstack(
            'image', 'copy', name, '--store', 's1', **variables(source)
        )
        assert done.status == 1
        assert 'There is no image' in done.err


def test_openstack_replicates(clouds, described):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(), name='one')
    done = openstack(
        'image', 'replicate', 'livecopy', 'north', 'south', **described,
        OS_CLOUD='north',
    )
    assert done.status == 0, done
    replicating.assert_replicated(source, target, image_id)
