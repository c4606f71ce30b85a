# SPDX-License-Identifier: Apache-2.0

"""How ``glance-replicate`` and ``openstack`` reach clouds, and log in."""

import json
import pathlib
import subprocess
import sys

import pytest
import yaml

from tests.functional import helpers
from tests.functional import replicating
from tests.harness import Client
from tests.irods_server import certificate
from tests.parts import proxy

pytestmark = pytest.mark.functional

MEMBER = 'alice:demo:member,reader'


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
    done = replicating.run('livecopy', 'north', 'south', **described)
    assert done.by_image() == {image_id: 'copied'}, done
    replicating.assert_replicated(source, target, image_id)


def test_a_cloud_may_be_that_of_the_environment(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    done = replicating.run(
        'livecopy', 'env', target.url, f'--to-token={replicating.ADMIN}',
        **variables(source),
    )
    assert done.by_image() == {image_id: 'copied'}, done


def test_host_and_port_will_do(clouds):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    done = replicating.run(
        'livecopy', f'127.0.0.1:{source.port}', f'localhost:{target.port}',
        f'--from-token={replicating.ADMIN}',
        f'--to-token={replicating.ADMIN}',
    )
    assert done.by_image() == {image_id: 'copied'}, done


@pytest.mark.parametrize('path', ['/', '/v2', '/v2/'])
def test_a_url_may_end_in_the_version(clouds, path):
    source, _target = clouds
    Client(source).create_image(helpers.data())
    done = replicating.run(
        'size', source.url + path, f'--token={replicating.ADMIN}'
    )
    assert done.rows[0]['Images'] == 1, done


@pytest.mark.parametrize(('given', 'told'), [
    (('nowhere',), 'nowhere'),
    (('ftp://host',), 'begins with https'),
    (('http://user:pass@host',), 'holds no user and password'),
    (('http://[bad',), 'not valid'),
    (('nowhere', '--token=x'), 'A token goes with a URL'),
    (('http://127.0.0.1:9', '--token-file=/none'), '/none'),
    (('http://127.0.0.1:9', '--token=x', '--token-file=y'), 'exclude'),
])
def test_a_cloud_that_cannot_be_is_one_sentence(given, told):
    done = replicating.run('size', *given)
    assert done.status == 1
    assert told in done.err
    assert 'user:pass' not in done.err
    assert len(done.err.strip().splitlines()) == 1, done


def test_a_token_that_is_not_accepted_is_one_sentence(clouds):
    done = replicating.run('size', clouds[0].url, '--token=nobody')
    assert done.status == 1
    assert 'answers 401' in done.err
    assert len(done.err.strip().splitlines()) == 1, done


@pytest.fixture
def secured(clouds, tmp_path):
    """A server behind TLS, and the file that has its certificate."""
    context, trusted = certificate.make(tmp_path)
    with proxy.Proxy(clouds[0].port, tls=context) as line:
        yield line.url, trusted


def test_a_certificate_is_verified(secured):
    url, _trusted = secured
    done = replicating.run('size', url, f'--token={replicating.ADMIN}')
    assert done.status == 1
    assert 'certificate' in done.err.lower()


def test_certificates_to_trust_can_be_named(secured):
    url, trusted = secured
    done = replicating.run(
        'size', url, f'--token={replicating.ADMIN}', '--cacert', trusted
    )
    assert done.status == 0, done
    assert done.err == ''


def test_not_to_verify_is_possible_and_said(secured):
    url, _trusted = secured
    done = replicating.run(
        'size', url, f'--token={replicating.ADMIN}', '--insecure'
    )
    assert done.status == 0, done
    assert f'The certificate of {url} is not verified.' in done.err


def openstack(*given, **more):
    """Run the stock client; return the completed process."""
    return subprocess.run(
        [pathlib.Path(sys.executable).with_name('openstack'), *given],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=replicating.environment(**more), timeout=replicating.SECONDS,
    )


def test_openstack_copies_an_image_into_further_stores(clouds):
    source, _target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data(), name='by name')
    done = openstack(
        'image', 'copy', 'by name', '--store', 's1', '--store', 's2',
        '--wait', '-f', 'json', **variables(source),
    )
    assert done.returncode == 0, done
    assert json.loads(done.stdout)[0]['Result'] == 'copied'
    helpers.assert_copied(source, client, image_id, ['s1', 's2'])


def test_openstack_may_not_wait_for_a_copy(clouds):
    source, _target = clouds
    client = Client(source)
    image_id = client.create_image(helpers.data())
    done = openstack(
        'image', 'copy', image_id, '--store', 's1', '-f', 'json',
        **variables(source),
    )
    assert json.loads(done.stdout)[0]['Result'] == 'asked for', done
    client.wait_copy(image_id)
    done = openstack(
        'image', 'copy', 'watch', image_id, '-f', 'json', **variables(source)
    )
    assert json.loads(done.stdout)[0]['Status'] == 'success', done


def test_openstack_replicates_and_reads_what_was_replicated(
    clouds, described
):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data(), name='one')
    done = openstack(
        'image', 'replicate', 'livecopy', 'north', 'south', '-f', 'json',
        **described, OS_CLOUD='north',
    )
    assert done.returncode == 0, done
    shown = openstack(
        'image', 'show', image_id, '-f', 'json', **described,
        OS_CLOUD='south',
    )
    assert json.loads(shown.stdout)['name'] == 'one', shown
    compared = openstack(
        'image', 'replicate', 'compare', 'north', 'south', **described,
        OS_CLOUD='north',
    )
    assert compared.returncode == 0, compared


def test_the_glance_client_reads_what_was_replicated(clouds, tmp_path):
    source, target = clouds
    image_id = Client(source).create_image(helpers.data())
    replicating.livecopy(source, target)
    path = tmp_path / 'image'
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).with_name('glance'),
            '--os-image-url', target.url, '--os-auth-token',
            replicating.ADMIN, 'image-download', image_id, '--file', path,
        ],
        capture_output=True, text=True, env=replicating.environment(),
    )
    assert done.returncode == 0, done
    assert path.read_bytes() == Client(source).download(image_id)


def test_completion_knows_all_commands():
    done = subprocess.run(
        [*replicating.COMMAND, 'complete'], capture_output=True, text=True,
        env=replicating.environment(),
    )
    assert done.returncode == 0, done
    for name in ('livecopy', 'dump', 'load', 'compare', 'size', 'fill',
                 'watch', 'migrate'):
        assert name in done.stdout
