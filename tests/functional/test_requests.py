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


@pytest.fixture(scope='module')
def filling(start_glance):
    """A server whose operator allows ``all_stores``."""
    return start_glance('filling', {'copy_image': {'all_stores': 'missing'}})


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


def test_a_queued_image_is_refused(glance, client):
    queued = client.new_image()
    assert_refused(
        glance, queued, {**COPY, 'stores': ['s1']}, 409, 'queued', 'active'
    )


def test_a_deactivated_image_is_refused(glance, client):
    image_id = client.create_image(b'x')
    client.demand('POST', f'/images/{image_id}/actions/deactivate')
    assert_refused(
        glance, image_id, {**COPY, 'stores': ['s1']}, 409, 'deactivated'
    )


@pytest.mark.parametrize(
    'unknown', ['0b7ad1a4-6c4e-4bd7-9e0c-3f7d5d5b8b1e', 'no-such-id']
)
def test_an_unknown_image_is_refused(client, unknown):
    answer = helpers.ask(client, unknown, {**COPY, 'stores': ['s1']})
    assert answer.status_code == 404
    assert_sentence(answer, unknown, 'check the id')


@pytest.mark.parametrize('stores, status, words', [
    (['nowhere'], 409, ['nowhere', '/v2/info/stores']),
    (['s1', 'nowhere'], 409, ['nowhere', '/v2/info/stores']),
    (['src'], 400, ['src', 'leave it out']),
    (['s1', 'src'], 400, ['src', 'leave it out']),
    ([], 400, ['stores', 'at least one']),
    (['s1', 's1'], 400, ['twice', 'once']),
    ('s1', 400, ['list of store names']),
    ({'s1': True}, 400, ['list of store names']),
    (7, 400, ['list of store names']),
    ([1, 's1'], 400, ['list of store names']),
    ([['s1']], 400, ['list of store names']),
    ([None], 400, ['list of store names']),
    (['os_glance_staging_store'], 400, ['reserved', '/v2/info/stores']),
    (['s1', 'os_glance_tasks_store'], 400, ['reserved', '/v2/info/stores']),
    (['os_glance_nothing'], 400, ['reserved', '/v2/info/stores']),
    (['web'], 400, ['web', 'cannot be written', 'another']),
    (['ceph'], 400, ['ceph', 'cannot be written', 'another']),
    (['s1', 'web'], 400, ['web', 'cannot be written', 'another']),
])
def test_stores_that_cannot_be_copied_to_are_refused(
    glance, image_id, stores, status, words
):
    assert_refused(
        glance, image_id, {**COPY, 'stores': stores}, status, *words
    )


@pytest.mark.parametrize('body', [
    {}, {'stores': None}, {'all_stores': False},
    {'all_stores_must_succeed': False},
])
def test_a_request_that_names_no_stores_is_refused(glance, image_id, body):
    assert_refused(glance, image_id, {**COPY, **body}, 400, "give 'stores'")


@pytest.mark.parametrize('body', [
    {'all_stores': True}, {'all_stores': True, 'stores': ['s1']},
    {'all_stores': True, 'all_stores_must_succeed': False},
])
def test_all_stores_is_refused(glance, image_id, body):
    assert_refused(
        glance, image_id, {**COPY, **body}, 400, 'all_stores', 'name the'
    )


@pytest.mark.parametrize('flag', [
    'all_stores', 'all_stores_must_succeed', 'allow_failure',
])
@pytest.mark.parametrize('value', ['yes', 1, None, [True]])
def test_a_flag_that_is_no_boolean_is_refused(glance, image_id, flag, value):
    body = {**COPY, 'stores': ['s1'], flag: value}
    assert_refused(glance, image_id, body, 400, flag, 'true or false')


@pytest.mark.parametrize('allow', [True, False])
def test_flags_that_contradict_each_other_are_refused(
    glance, image_id, allow
):
    body = {
        **COPY, 'stores': ['s1'],
        'allow_failure': allow, 'all_stores_must_succeed': allow,
    }
    assert_refused(glance, image_id, body, 400, 'allow_failure', 'one of')


@pytest.mark.parametrize('priority', ['high', 'LOW', '', 1, None, ['low']])
def test_nobody_can_be_preferred_to_others(glance, image_id, priority):
    method = {'name': 'copy-image', 'priority': priority}
    body = {'method': method, 'stores': ['s1']}
    assert_refused(glance, image_id, body, 400, 'priority', "'low'")


@pytest.mark.parametrize('priority', ['low', 'normal'])
def test_whoever_wants_to_can_wait_for_others(client, priority):
    image_id = client.create_image(b'x')
    method = {'name': 'copy-image', 'priority': priority}
    task = helpers.copy(client, image_id, ['s1'], method=method)
    assert task['status'] == 'success'
    assert task['input']['import_req']['method'] == method


@pytest.mark.parametrize('body', [
    b'', b'copy-image', b'{"method": {"name": "copy-image"', b'\xff\xfe',
    b'[' * 100000,
])
def test_a_body_that_is_not_json_is_refused(glance, image_id, body):
    assert_refused(
        glance, image_id, None, 400, 'JSON', data=body,
        headers={'Content-Type': 'application/json'},
    )


@pytest.mark.parametrize('body', [[], [COPY], 'copy-image', 7, True])
def test_a_body_that_is_no_object_is_refused(glance, image_id, body):
    assert_refused(glance, image_id, body, 400, 'JSON object')


@pytest.mark.parametrize('method', [
    'copy-image', None, [], ['copy-image'], {}, {'name': None},
    {'name': ['copy-image']}, {'nom': 'copy-image'},
])
def test_a_method_without_a_name_is_refused(glance, image_id, method):
    body = {'method': method, 'stores': ['s1']}
    assert_refused(glance, image_id, body, 400, 'method', 'name')


def test_a_body_without_a_method_is_refused(glance, image_id):
    assert_refused(glance, image_id, {'stores': ['s1']}, 400, 'method')


def test_the_header_and_the_body_cannot_both_name_stores(glance, image_id):
    assert_refused(
        glance, image_id, {**COPY, 'stores': ['s1']}, 400,
        'x-image-meta-store', 'not in both',
        headers={'X-Image-Meta-Store': 's2'},
    )


def test_an_unknown_store_in_the_header_is_refused(glance, image_id):
    assert_refused(
        glance, image_id, COPY, 409, 'nowhere',
        headers={'X-Image-Meta-Store': 'nowhere'},
    )


@pytest.mark.parametrize('version', ['v2.0', 'v2.9', 'v2.15'])
def test_every_version_of_the_api_has_the_rules(
    glance, client, image_id, version
):
    url = f'{glance.url}/{version}/images/{image_id}/import'
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


def test_a_body_without_a_length_is_judged_as_well(glance, image_id):
    body = json.dumps({**COPY, 'stores': ['s1', 's1']}).encode()
    assert_refused(
        glance, image_id, None, 400, 'twice', data=iter([body]),
        headers={'Content-Type': 'application/json'},
    )


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
    assert client.stores(image_id) == ['web', 's1']


@pytest.mark.parametrize('while_running', [True, False])
def test_an_image_deleted_while_its_copy_ran_is_gone(
    glance, client, source, while_running
):
    image_id, held = helpers.held_image(glance, client, source)
    task_id = helpers.start(client, image_id, ['s1'])
    assert held.reached.wait(60)
    client.delete(image_id)
    if not while_running:
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


@pytest.mark.parametrize('allow', [True, False])
def test_the_example_of_the_specification_is_understood(client, allow):
    image_id = client.create_image(b'x')
    task = helpers.copy(client, image_id, ['s1', 's2'], allow_failure=allow)
    assert task['status'] == 'success'
    request = task['input']['import_req']
    assert request['all_stores_must_succeed'] is not allow
    assert 'allow_failure' not in request
    assert sorted(client.stores(image_id)) == ['s1', 's2', 'src']


def test_the_header_can_name_the_store(glance, client):
    image_id = client.create_image(b'x')
    answer = helpers.ask(
        client, image_id, COPY, headers={'X-Image-Meta-Store': 's3'}
    )
    assert answer.status_code == 202
    assert client.wait_copy(image_id)['status'] == 'success'
    helpers.assert_copied(glance, client, image_id, ['s3'])
    assert client.stores(image_id) == ['src', 's3']


def test_missing_stores_are_filled_if_the_operator_allows_it(filling):
    client = Client(filling)
    image_id = client.create_image(helpers.data())
    helpers.copy(client, image_id, ['s2'])
    task = helpers.copy(client, image_id, all_stores=True)
    assert task['status'] == 'success'
    assert sorted(task['input']['backend']) == ['s1', 's3']
    assert sorted(client.stores(image_id)) == ['s1', 's2', 's3', 'src']
    helpers.assert_copied(filling, client, image_id, ['s1', 's2', 's3'])
    before = state(filling, client, image_id)
    answer = helpers.ask(client, image_id, {**COPY, 'all_stores': True})
    assert answer.status_code == 202
    assert state(filling, client, image_id) == before


@pytest.mark.parametrize('more', [
    {'body': {'stores': ['s1']}}, {'body': {'stores': []}},
    {'headers': {'X-Image-Meta-Store': 's1'}},
])
def test_all_stores_and_names_together_are_refused(filling, more):
    image_id = Client(filling).create_image(b'x')
    body = {**COPY, 'all_stores': True, **more.get('body', {})}
    assert_refused(
        filling, image_id, body, 400, 'not both', headers=more.get('headers')
    )


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
    assert sorted(client.stores(image_id)) == ['s1', 's2']
    helpers.assert_copied(glance, client, image_id, ['s1', 's2'])


@pytest.mark.parametrize('body', [
    {'method': {'name': 'web-download'}},
    {'method': {'name': 'web-download', 'uri': 'ftp://127.0.0.1/x'}},
    {'method': {'name': 'web-download', 'uri': 'http://127.0.0.1/x'},
     'stores': ['nowhere']},
    {'method': {'name': 'glance-direct'}},
    {'method': {'name': 'glance-download'}},
    {'method': {'name': 'no-such-method'}, 'stores': [], 'all_stores': 7},
    {'method': {'name': 'glance-direct'}, 'all_stores': True,
     'stores': ['s1']},
])
@pytest.mark.parametrize('status', ['queued', 'active'])
def test_other_methods_are_refused_as_stock_refuses_them(
    glance, stock, body, status
):
    answers = []
    for server in (glance, stock):
        client = Client(server)
        image_id = client.new_image()
        if status == 'active':
            client.upload(image_id, b'x')
        answer = helpers.ask(client, image_id, body)
        answers.append(
            (answer.status_code, answer.text.replace(image_id, 'ID'))
        )
    assert answers[0] == answers[1]
    assert answers[0][0] >= 400


def test_copy_image_that_is_switched_off_is_refused_as_stock_does(
    start_glance, stock
):
    server = start_glance(
        'off', {'DEFAULT': {'enabled_import_methods': '[glance-direct]'}}
    )
    image_id = Client(server).create_image(b'x')
    before = state(server, Client(server), image_id)
    answer = Client(server).copy(image_id, ['s1'])
    assert answer.status_code == 400
    assert 'copy-image' in answer.text
    assert state(server, Client(server), image_id) == before


def test_a_request_that_glance_itself_refuses_is_not_worded_by_us(
    glance, client
):
    answer = client.request('GET', f'/images/{uuid.uuid4()}/import')
    assert answer.status_code == 405
