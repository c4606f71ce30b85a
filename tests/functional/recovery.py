# SPDX-License-Identifier: Apache-2.0

"""What the tests of crashes and of orderly stops share."""

import contextlib

import requests

from tests.functional import helpers
from tests.functional.helpers import MIB
from tests.harness import Client
from tests.harness import moments

STORES = ['s1', 's2', 's3']
# Within this time after a kill, everything is in order again, also on a
# machine that has much else to do.
SECONDS = 120


def copy_and_kill(server, switch, place, **body):
    """Ask for a copy during which a worker is killed; return image, answer.

    :returns: image id, and the answer or None if the connection broke
    """
    client = Client(server)
    image_id = client.create_image(helpers.data(6 * MIB + 1))
    workers = set(server.worker_pids)
    moments.order(switch, place)
    answer = None
    try:
        with contextlib.suppress(requests.ConnectionError):
            answer = client.copy(image_id, STORES, **body)
        helpers.wait_until(lambda: not switch.exists(), f'a kill at {place}')
        helpers.wait_until(
            lambda: workers - set(server.worker_pids), 'a worker that is gone'
        )
    finally:
        switch.unlink(missing_ok=True)
    return image_id, answer


def entry_of(server, image_id):
    return server.staging / 'copy-image' / 'journal' / image_id


def wait_in_order(server, image_id, timeout=SECONDS):
    """Wait until nothing is going on; return the image's tasks."""
    server.invariants.wait_settled(timeout)
    return server.tasks(image_id)


def check(server, image_id, stores, failed=()):
    """Check that exactly these stores hold the image, and nothing is left."""
    client = Client(server)
    helpers.wait_until(
        lambda: answers(client), 'an answer of the server', timeout=SECONDS
    )
    server.invariants.assert_hold()
    image = client.image(image_id)
    assert image['status'] == 'active'
    assert set(helpers.rows(server, image_id)) == set(stores)
    if failed:
        assert helpers.named(image, helpers.FAILED) == set(failed)
    # What one test leaves behind must not be read again after each other.
    client.delete(image_id)
    server.invariants.assert_hold(verify=False)


def answers(client):
    with contextlib.suppress(requests.ConnectionError):
        return client.request('GET', '/info/stores').status_code == 200
