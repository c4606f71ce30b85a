# SPDX-License-Identifier: Apache-2.0

"""Which copies are accepted, and how the others are refused."""

import json
import uuid

import pytest

from tests.functional import helpers
from tests.harness import Client
from tests.harness import MEMBER

pytestmark = pytest.mark.functional

COPY = {'method': {'name': 'copy-image'}}
OTHER = 'bob:other:member,reader'


@pytest.fixture(scope='module')
def image_id(client):
    """An image in ``src`` that no test here may change."""
    return client.create_image(helpers.data(4096))


def state(server, client, image_id):
    """Everything that a refused request must leave as it was."""
    return (
        client.image(image_id),
        server.execute('SELECT * FROM images WHERE id = :id', id=image_id),
        server.execute(
            'SELECT * FROM image_properties WHERE image_id = :id ORDER BY id',
            id=image_id,
        ),
        server.execute(
            'SELECT * FROM image_locations WHERE image_id = :id ORDER BY id',
            id=image_id,
        ),
        server.execute('SELECT * FROM tasks ORDER BY id'),
    )


def assert_sentence(answer, *words):
    """Check that the answer is one sentence with these words in it."""
    text = answer.json()['message']
    text = text.split('<br', 1)[0].strip()
    assert text.endswith('.')
    assert '. ' not in text
    for word in words:
        assert word in text
    return text


def assert_refused(
    server, image_id, body, status, *words, token=None, **options
):
    """Send a request that must be refused and change nothing."""
    admin = Client(server)
    asking = admin.as_user(token) if token else admin
    before = state(server, admin, image_id)
    answer = helpers.ask(asking, image_id, body, **options)
    assert answer.status_code == status, answer.text
    assert_sentence(answer, *words)
    assert state(server, admin, image_id) == before


def test_an_image_that_is_not_active_is_refused(glance, client):
    queued, inactive = client.new_image(), client.create_image(b'x')
    client.demand('POST', f'/images/{inactive}/actions/deactivate')
    body = {**COPY, 'stores': ['s1']}
    assert_refused(glance, queued, body, 409, 'queued', 'active')
    assert_refused(glance, inactive, body, 409, 'deactivated')


def test_an_unknown_image_is_refused(client):
    for unknown in (str(uuid.uuid4()), 'no-such-id'):
        answer = helpers.ask(client, unknown, {**COPY, 'stores': ['s1']})
        assert answer.status_code == 404
        assert_sentence(answer, unknown, 'check the id')


# Each kind of refusal once; the unit tests have what else is of that kind.
REFUSED = [
    ({**COPY, 'stores': ['s1', 'nowhere']}, 409, 'nowhere', 'info/stores'),
    ({**COPY, 'stores': ['s1', 'src']}, 400, 'src', 'leave it out'),
    ({**COPY, 'stores': []}, 400, 'stores', 'at least one'),
    ({**COPY, 'stores': ['s1', 's1']}, 400, 'twice', 'once'),
    ({**COPY, 'stores': {'s1': True}}, 400, 'list of store names'),
    ({**COPY, 'stores': ['os_glance_staging_store']}, 400, 'reserved'),
    ({**COPY, 'stores': ['s1', 'web']}, 400, 'web', 'cannot be written'),
    ({**COPY, 'stores': ['ceph']}, 400, 'ceph', 'cannot be written'),
    (COPY, 400, "give 'stores'"),
    ({**COPY, 'all_stores': True}, 400, 'all_stores', 'name the'),
    ({**COPY, 'stores': ['s1'], 'allow_failure': 1}, 400, 'true or false'),
    ({**COPY, 'stores': ['s1'], 'allow_failure': True,
      'all_stores_must_succeed': True}, 400, 'allow_failure', 'one of'),
    ({'method': {'name': 'copy-image', 'priority': 'high'},
      'stores': ['s1']}, 400, 'priority', "'low'"),
    ([COPY], 400, 'JSON object'),
    ({'method': 'copy-image', 'stores': ['s1']}, 400, 'method', 'name'),
    ({'stores': ['s1']}, 400, 'method'),
]


@pytest.mark.parametrize('refused', REFUSED, ids=lambda case: case[-1])
def test_what_the_rules_do_not_allow_is_refused(glance, image_id, refused):
    assert_refused(glance, image_id, *refused)


def test_whoever_wants_to_can_wait_for_others(client):
    image_id = client.create_image(b'x')
    method = {'name': 'copy-image', 'priority': 'low'}
    task = helpers.copy(client, image_id, ['s1'], method=method)
    assert task['status'] == 'success'
    assert task['input']['import_req']['method'] == method


@pytest.mark.parametrize('body', [b'', b'copy-image', b'[' * 100000])
def test_a_body_that_is_not_json_is_refused(glance, image_id, body):
    assert_refused(
        glance, image_id, None, 400, 'JSON', data=body,
        headers={'Content-Type': 'application/json'},
    )


def test_a_body_without_a_length_is_judged_as_well(glance, image_id):
    body = json.dumps({**COPY, 'stores': ['s1', 's1']}).encode()
    assert_refused(
        glance, image_id, None, 400, 'twice', data=iter([body]),
        headers={'Content-Type': 'application/json'},
    )


def test_the_header_is_judged_as_well(glance, image_id):
    assert_refused(
        glance, image_id, {**COPY, 'stores': ['s1']}, 400,
        'x-image-meta-store', 'not in both',
        headers={'X-Image-Meta-Store': 's2'},
    )
    assert_refused(
        glance, image_id, COPY, 409, 'nowhere',
        headers={'X-Image-Meta-Store': 'nowhere'},
    )


def test_an_older_version_of_the_api_has_the_rules(glance, client, image_id):
    url = f'{glance.url}/v2.9/images/{image_id}/import'
    before = state(glance, client, image_id)
    answer = client.session.post(
        url, json={**COPY, 'stores': []},
        headers={
            'X-Auth-Token': client.token, 'Accept': 'application/json',
        },
    )
    assert answer.status_code == 400
    assert_sentence(answer, 'at least one')
    assert state(glance, client, image_id) == before


def test_the_owner_is_refused_by_the_policy(glance, client):
    image_id = client.as_user(MEMBER).create_image(b'x')
    assert_refused(
        glance, image_id, {**COPY, 'stores': ['s1']}, 403,
        'copy_image', 'administrator', token=MEMBER,
    )


def test_an_invisible_image_is_not_found(glance, client):
    image_id = client.create_image(b'x', visibility='private')
    assert_refused(
        glance, image_id, {**COPY, 'stores': ['s1']}, 404, 'visible',
        token=OTHER,
    )


def test_nobody_is_told_anything(glance, client, image_id):
    before = state(glance, client, image_id)
    answer = helpers.ask(
        client.as_user('nonsense'), image_id, {**COPY, 'stores': ['s1']}
    )
    assert answer.status_code == 401
    assert state(glance, client, image_id) == before


def test_a_second_copy_while_one_runs_is_refused(glance, client, source):
    image_id, held = helpers.held_image(glance, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    assert held.reached.wait(60)
    answer = client.copy(image_id, ['s2'])
    assert answer.status_code == 409
    assert task_id in answer.text
    assert '/tasks' in answer.text
    assert [t['id'] for t in client.tasks(image_id)] == [task_id]
    held.release()
    assert client.wait_copy(image_id, task_id)['status'] == 'success'
    assert client.stores(image_id) == ['s1', 'web']


def test_an_image_deleted_while_its_copy_ran_is_gone(glance, client, source):
    image_id, held = helpers.held_image(glance, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    assert held.reached.wait(60)
    client.delete(image_id)
    for ended in (False, True):
        if ended:
            held.release()
            helpers.wait_ended(glance, task_id)
        answer = helpers.ask(client, image_id, {**COPY, 'stores': ['s1']})
        assert answer.status_code == 410
        assert_sentence(answer, image_id, 'deleted')
    stranger = client.as_user(OTHER)
    answer = helpers.ask(stranger, image_id, {**COPY, 'stores': ['s1']})
    assert answer.status_code == 404


def test_an_image_deleted_after_its_copy_is_not_found(glance, client):
    image_id = client.create_image(b'x')
    assert helpers.copy(client, image_id, ['s1'])['status'] == 'success'
    client.delete(image_id)
    answer = helpers.ask(client, image_id, {**COPY, 'stores': ['s2']})
    assert answer.status_code == 404
    assert_sentence(answer, image_id)


def test_the_example_of_the_specification_is_understood(client):
    image_id = client.create_image(b'x')
    task = helpers.copy(client, image_id, ['s1', 's2'], allow_failure=True)
    assert task['status'] == 'success'
    request = task['input']['import_req']
    assert request['all_stores_must_succeed'] is False
    assert 'allow_failure' not in request
    assert client.stores(image_id) == ['s1', 's2', 'src']


def test_the_header_can_name_the_store(glance, client):
    image_id = client.create_image(b'x')
    answer = helpers.ask(
        client, image_id, COPY, headers={'X-Image-Meta-Store': 's3'}
    )
    assert answer.status_code == 202
    assert client.wait_copy(image_id)['status'] == 'success'
    helpers.assert_copied(glance, client, image_id, ['s3'])
    assert client.stores(image_id) == ['s3', 'src']


def test_another_import_method_is_left_alone(glance, client):
    content = helpers.data()
    image_id = client.new_image()
    client.demand(
        'PUT', f'/images/{image_id}/stage', data=content,
        headers={'Content-Type': 'application/octet-stream'},
    )
    body = {'method': {'name': 'glance-direct'}, 'stores': ['s1', 's2']}
    assert helpers.ask(client, image_id, body).status_code == 202
    assert client.wait_copy(image_id)['status'] == 'success'
    assert client.stores(image_id) == ['s1', 's2']
    helpers.assert_copied(glance, client, image_id, ['s1', 's2'])


def test_a_request_that_glance_itself_refuses_is_not_worded_by_us(
    glance, client
):
    answer = client.request('GET', f'/images/{uuid.uuid4()}/import')
    assert answer.status_code == 405
