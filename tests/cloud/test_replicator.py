# SPDX-License-Identifier: Apache-2.0

"""``glance-replicate`` between clouds whose users Keystone knows."""

import json
import pathlib
import subprocess
import sys
import uuid

import pytest
import yaml

from tests.cloud.services import conf
from tests.cloud.services import identity
from tests.cloud.services import stores
from tests.functional import helpers
from tests.functional import replicating

pytestmark = pytest.mark.usefixtures('nothing_left')
WRONG = 'sesame-opens'


@pytest.fixture(scope='module')
def south(start_glance):
    """The Glance of another region."""
    return start_glance('south', {'local': stores.file()})


@pytest.fixture(scope='module')
def servers(glance, south):
    return {'north': glance, 'south': south}


@pytest.fixture
def emptied(servers, as_user, nothing_left):
    """Remove the images of both in the end."""
    yield
    for server in servers.values():
        client = as_user(server)
        answer = client.demand('GET', '/images?visibility=all')
        for image in answer.json()['images']:
            client.delete(image['id'])


def login(cloud, user, password=None):
    """Return how a user logs in, as clouds.yaml and OS_* name it."""
    return {
        'auth_url': cloud.place.url('keystone', '/v3'),
        'username': identity.account_of(cloud.place, user),
        'password': password or cloud.password(user),
        'project_name': identity.project_of(cloud.place, user),
        'user_domain_name': conf.DOMAIN,
        'project_domain_name': conf.DOMAIN,
    }


@pytest.fixture
def described(servers, tmp_path):
    """Give a function that writes clouds.yaml; it returns the environment."""
    def write(auth, **more):
        path = tmp_path / 'clouds.yaml'
        path.write_text(yaml.safe_dump({'clouds': {
            name: {
                'auth': auth, 'region_name': conf.REGION,
                'image_endpoint_override': server.url, **more,
            } for name, server in servers.items()
        }}))
        return {'OS_CLIENT_CONFIG_FILE': str(path)}

    return write


def assert_same(as_user, servers, image_id, user):
    """Check that the south has an image as the north has it."""
    records = []
    for server in servers.values():
        client = as_user(server, user)
        image = client.image(image_id)
        records.append((
            image['name'], image['owner'], image['visibility'],
            image['os_hash_value'], image['status'],
            client.download(image_id),
        ))
    assert records[0] == records[1]


@pytest.mark.usefixtures('emptied')
def test_a_member_replicates_what_he_sees_with_his_own_password(
    cloud, servers, as_user, described
):
    theirs = as_user(servers['north'], 'demo').create_image(helpers.data())
    others = as_user(servers['north'], 'glance2').create_image(b'private')
    done = replicating.run(
        'livecopy', 'north', 'south', **described(login(cloud, 'demo'))
    )
    assert done.status == 0, done
    assert done.by_image() == {theirs: 'copied'}
    assert_same(as_user, servers, theirs, 'demo')
    answer = as_user(servers['south']).request('GET', f'/images/{others}')
    assert answer.status_code == 404


@pytest.mark.usefixtures('emptied')
def test_an_application_credential_will_do(
    cloud, servers, as_user, described
):
    image_id = as_user(servers['north'], 'demo').create_image(helpers.data())
    made, secret = cloud.application_credential('demo', str(uuid.uuid4()))
    settings = described({
        'auth_url': cloud.place.url('keystone', '/v3'),
        'application_credential_id': made,
        'application_credential_secret': secret,
    }, auth_type='v3applicationcredential')
    done = replicating.run('livecopy', 'north', 'south', **settings)
    assert done.by_image() == {image_id: 'copied'}, done
    assert_same(as_user, servers, image_id, 'demo')
    assert secret not in done.out + done.err


@pytest.mark.usefixtures('emptied')
def test_an_administrator_replicates_the_images_of_all(
    cloud, servers, as_user, described
):
    """Each can keep its owner, as both regions ask one Keystone."""
    theirs = as_user(servers['north'], 'demo').create_image(helpers.data())
    done = replicating.run(
        'livecopy', 'north', 'south', '--keep-owner',
        **described(login(cloud, 'admin')),
    )
    assert done.by_image() == {theirs: 'copied'}, done
    assert_same(as_user, servers, theirs, 'demo')


def test_a_wrong_password_is_one_sentence(cloud, described):
    done = replicating.run(
        'livecopy', 'north', 'south',
        **described(login(cloud, 'demo', WRONG)),
    )
    assert done.status == 1
    assert len(done.err.strip().splitlines()) == 1, done
    assert 'north' in done.err
    assert WRONG not in done.out + done.err


def variables(cloud, server, user):
    """Return the ``OS_*`` variables of a user."""
    given = {
        **login(cloud, user), 'region_name': conf.REGION,
        'image_endpoint_override': server.url,
    }
    return {f'OS_{name.upper()}': value for name, value in given.items()}


@pytest.mark.usefixtures('emptied')
def test_a_new_store_is_filled_by_its_administrator(
    cloud, glance, as_user
):
    ids = [
        as_user(glance, user).create_image(helpers.data())
        for user in ('admin', 'demo', 'glance2')
    ]
    done = replicating.run(
        'fill', 'fast', **variables(cloud, glance, 'admin')
    )
    assert done.status == 0, done
    assert done.by_image() == dict.fromkeys(ids, 'copied')
    for image_id in ids:
        assert as_user(glance).stores(image_id) == ['fast', 'local']


@pytest.mark.usefixtures('emptied')
def test_openstack_copies_an_image_to_volumes_of_a_type(
    cloud, glance, as_user
):
    client = as_user(glance, 'admin')
    image_id = client.create_image(helpers.data())
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).with_name('openstack'), 'image',
            'copy', image_id, '--store', 'slow', '--wait', '-f', 'json',
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=replicating.environment(
            OS_IDENTITY_API_VERSION='3',
            **variables(cloud, glance, 'admin'),
        ),
        timeout=replicating.SECONDS,
    )
    assert done.returncode == 0, done
    assert json.loads(done.stdout)[0]['Result'] == 'copied'
    assert client.stores(image_id) == ['local', 'slow']
