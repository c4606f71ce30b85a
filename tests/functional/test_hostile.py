# SPDX-License-Identifier: Apache-2.0

"""Requests that make no sense are refused, and change nothing."""

import concurrent.futures
import json
import random
import urllib.parse
import uuid

import pytest

from tests.functional import helpers
from tests.harness import Client

COUNT = 300
SEED = 20261121

TEXTS = [
    '', ' ', 's' * 5000, 'é', '\ud800', '\x00', '\n', '../../etc/passwd',
    '<b>', '%s', "';--", '🂡', 'src,s1', 'S1', ' s1', 's1\x00',
]
NOT_TEXT = [None, True, False, 0, -1, 1e308, [], {}, ['s1'], {'name': 's1'}]
# No store here can receive the image: nothing below may be accepted.
STORES = ['src', 'web', 'ceph', 'nowhere', 'os_glance_staging_store', *TEXTS]


@pytest.fixture
def image(glance):
    client = Client(glance)
    image_id = client.create_image(helpers.data(1000))
    return client, image_id


def a_value(dice, depth=0):
    kind = dice.randrange(6)
    if kind == 0 or depth > 4:
        return dice.choice(NOT_TEXT)
    if kind == 1:
        return [a_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    if kind == 2:
        return {
            dice.choice(TEXTS): a_value(dice, depth + 1)
            for _ in range(dice.randrange(4))
        }
    return dice.choice(TEXTS)


def stores(dice):
    kind = dice.randrange(4)
    if kind == 0:
        return a_value(dice)
    names = [dice.choice(STORES) for _ in range(dice.randrange(5))]
    if kind == 1:
        names.append(dice.choice(NOT_TEXT))
    return names


def a_body(dice):
    """Return the bytes of a body that no copy can be made of."""
    if dice.randrange(12) == 0:
        return bytes(dice.randrange(256) for _ in range(dice.randrange(60)))
    body = {}
    if dice.randrange(8):
        name = 'copy-image' if dice.randrange(5) else a_value(dice)
        body['method'] = {'name': name} if dice.randrange(8) else name
    if dice.randrange(6):
        body['stores'] = stores(dice)
    for flag in ('all_stores', 'all_stores_must_succeed', 'allow_failure'):
        if dice.randrange(4) == 0:
            body[flag] = a_value(dice) if dice.randrange(2) else True
    if dice.randrange(6) == 0:
        body[dice.choice(TEXTS)] = a_value(dice)
    if dice.randrange(20) == 0:
        body = dice.choice([[body], [], 'copy-image', 7, None])
    text = json.dumps(body)
    if dice.randrange(25) == 0:
        text = text[:dice.randrange(len(text) + 1)]
    if dice.randrange(50) == 0:
        text = '[' * 100_000
    return text.encode()


def an_id(dice, image_id):
    if dice.randrange(4):
        return image_id
    text = dice.choice([
        str(uuid.UUID(int=dice.getrandbits(128))), image_id + '0',
        image_id[:-1], image_id.upper(), *TEXTS,
    ])
    # Glance's own version negotiation, which comes first, breaks on a path
    # that is no UTF-8.
    raw = text.encode('utf-8', 'replace')
    return urllib.parse.quote(raw, safe='')


def test_nonsense_is_refused_and_changes_nothing(glance, image):
    client, image_id = image
    before = client.image(image_id)
    rows = glance.locations(image_id)
    dice = random.Random(SEED)  # noqa: S311
    requests = [
        (an_id(dice, image_id), a_body(dice)) for _ in range(COUNT)
    ]

    def ask(request):
        target, body = request
        answer = client.request(
            'POST', f'/images/{target}/import', data=body,
            headers={'Content-Type': 'application/json'},
        )
        return answer.status_code

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(ask, requests))
    wrong = [
        (code, request) for code, request in zip(codes, requests, strict=True)
        if not 400 <= code < 500
    ]
    assert wrong == []
    assert len(set(codes)) > 2
    assert client.image(image_id) == before
    assert glance.locations(image_id) == rows
    assert glance.tasks(image_id) == []


def test_a_journal_that_cannot_be_written_is_said_in_a_sentence(
    glance, image
):
    client, image_id = image
    journal = glance.staging / 'copy-image' / 'journal'
    journal.mkdir(parents=True, exist_ok=True)
    with helpers.replaced_by_file(journal):
        answer = client.copy(image_id, ['s1'])
    assert answer.status_code == 503
    assert 'the staging area cannot be written' in answer.text
    assert glance.tasks(image_id) == []
    assert helpers.LOCK not in client.image(image_id)
    assert client.copy_and_wait(image_id, ['s1'])['status'] == 'success'
