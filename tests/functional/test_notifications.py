# SPDX-License-Identifier: Apache-2.0
"""The notifications of a copy, compared with those of stock."""

import json
import re

import pytest

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client

pytestmark = pytest.mark.functional

LINE = re.compile(r'oslo\.messaging\.notification\.\S+ .*?(\{".*\})')


def notifications(server, image_id):
    """Return the notifications about an image, in their order."""
    found = []
    for line in helpers.log_of(server).splitlines():
        match = LINE.search(line)
        if match and image_id in line:
            found.append(json.loads(match.group(1)))
    return found


def during_copy(server, stores, **body):
    """Copy a new image; return its id and the notifications of the copy."""
    client = Client(server)
    image_id = client.create_image(helpers.data(MIB))
    before = len(notifications(server, image_id))
    helpers.copy(client, image_id, stores, **body)
    client.wait_unlocked(image_id)
    sent = notifications(server, image_id)[before:]
    return image_id, [
        each for each in sent if each['event_type'].startswith('image.')
    ]


def about_stores(sent):
    """What is said of stores, in the order of one store after the other."""
    return [
        (each['event_type'], each['priority'])
        for each in sent
        if each['event_type'] in ('image.prepare', 'image.upload')
    ]


def test_a_store_is_announced_as_stock_announces_it(glance, stock):
    _ours, sent = during_copy(glance, ['s1'])
    _stocks, expected = during_copy(stock, ['s1'])
    assert about_stores(expected)
    assert about_stores(sent) == about_stores(expected)
    for one, other in zip(
        told(sent), told(expected), strict=True,
    ):
        assert one['publisher_id'] == other['publisher_id']
        assert one['payload'].keys() == other['payload'].keys()
        for name in (
            'os_glance_importing_to_stores', 'os_glance_failed_import',
            'backend', 'status', 'size', 'owner', 'visibility',
        ):
            assert one['payload'].get(name) == other['payload'].get(name), (
                one['event_type'], name
            )


def told(sent):
    """The announcement, the result, and the newest record."""
    return [
        *wanted(sent, 'image.prepare'), *wanted(sent, 'image.upload'),
        wanted(sent, 'image.update')[-1],
    ]


def wanted(sent, event):
    return [each for each in sent if each['event_type'] == event]


def test_every_store_is_announced(glance, stock):
    stores = ['s1', 's2', 's3']
    image_id, sent = during_copy(glance, stores)
    _other, expected = during_copy(stock, stores)
    assert sorted(about_stores(sent)) == sorted(about_stores(expected))
    prepared = wanted(sent, 'image.prepare')
    assert sorted(each['payload']['backend'] for each in prepared) == stores
    uploaded = wanted(sent, 'image.upload')
    assert {each['payload']['id'] for each in uploaded} == {image_id}


def test_a_store_that_fails_is_an_error(glance, stock):
    for server in (glance, stock):
        with helpers.replaced_by_file(server.places['s2']):
            image_id, sent = during_copy(
                server, ['s1', 's2'], all_stores_must_succeed=False
            )
        (error,) = [
            each for each in wanted(sent, 'image.upload')
            if each['priority'] == 'ERROR'
        ]
        assert image_id in error['payload']
        done = [
            each for each in wanted(sent, 'image.upload')
            if each['priority'] == 'INFO'
        ]
        assert len(done) == 1
    assert list(helpers.rows(stock, image_id)) == ['src', 's1']
