# SPDX-License-Identifier: Apache-2.0
"""Without its filter, an installed package changes nothing."""

import importlib.metadata

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional


@pytest.mark.parametrize('namespace', [
    'glance.flows', 'glance.flows.import', 'glance.image_import.plugins',
    'glance.image_import.internal_plugins', 'glance_store.drivers',
])
def test_nothing_of_the_package_is_registered_with_glance(namespace):
    found = importlib.metadata.entry_points(group=namespace)
    ours = {
        entry.name for entry in found
        if entry.dist.name == 'glance-copy-plugin'
    }
    # A store driver has a name of its own and is used by who enables it.
    assert ours <= ({'cinder_multi', 'irods'} if 'store' in namespace
                    else set())


def test_stock_copies_in_its_own_way(stock):
    client = Client(stock)
    image_id = client.create_image(helpers.data(2 * MIB))
    task = helpers.copy(client, image_id, ['s1', 's2'])
    assert task['status'] == 'success'
    assert task['message'] == 'Copied 2 MiB'
    helpers.assert_copied(stock, client, image_id, ['s1', 's2'])
    assert 'glance_copy_plugin' not in helpers.log_of(stock)


@pytest.mark.parametrize('body, status', [
    ({'stores': ['nowhere']}, 409),
    ({'stores': ['src']}, 400),
    ({'all_stores': True, 'stores': ['s1']}, 400),
])
def test_stock_refuses_in_its_own_words(stock, glance, body, status):
    client = Client(stock)
    image_id = client.create_image(b'x')
    answer = client.copy(image_id, **body)
    assert answer.status_code == status
    other = Client(glance)
    judged = other.copy(other.create_image(b'x'), **body)
    assert judged.status_code == status
    assert judged.text != answer.text


def test_stock_still_accepts_what_the_rules_refuse(stock, glance):
    """A store named twice."""
    client = Client(stock)
    image_id = client.create_image(b'x')
    assert client.copy(image_id, ['s1', 's1']).status_code == 202
    other = Client(glance)
    answer = other.copy(other.create_image(b'x'), ['s1', 's1'])
    assert answer.status_code == 400


METHODS = [
    {'method': {'name': 'web-download'}},
    {'method': {'name': 'web-download', 'uri': 'ftp://127.0.0.1/x'}},
    {'method': {'name': 'web-download', 'uri': 'http://127.0.0.1/x'},
     'stores': ['nowhere']},
    {'method': {'name': 'no-such-method'}, 'stores': [], 'all_stores': 7},
    {'method': {'name': 'glance-direct'}, 'all_stores': True,
     'stores': ['s1']},
]


def test_other_methods_are_refused_as_stock_refuses_them(glance, stock):
    texts = []
    for server in (glance, stock):
        client = Client(server)
        queued, active = client.new_image(), client.create_image(b'x')
        answers = [
            helpers.ask(client, image_id, body)
            for body in METHODS for image_id in (queued, active)
        ]
        assert all(answer.status_code >= 400 for answer in answers)
        texts.append([
            answer.text.replace(queued, 'ID').replace(active, 'ID')
            for answer in answers
        ])
    assert texts[0] == texts[1]


@pytest.mark.long
def test_copy_image_that_is_switched_off_is_refused(start_glance):
    server = start_glance(
        'off', {'DEFAULT': {'enabled_import_methods': '[glance-direct]'}}
    )
    image_id = Client(server).create_image(b'x')
    answer = Client(server).copy(image_id, ['s1'])
    assert answer.status_code == 400
    assert 'copy-image' in answer.text
    assert server.tasks(image_id) == []
