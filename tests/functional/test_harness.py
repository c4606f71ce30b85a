# SPDX-License-Identifier: Apache-2.0

"""The harness itself: what would let other tests pass for no reason."""

import pytest

from tests.harness import Client
from tests.harness import invariants
from tests.harness import MEMBER

pytestmark = pytest.mark.functional
DATA = b'some data ' * 100_000


def test_tokens_tell_who_asks(stock):
    client = Client(stock)
    image_id = client.new_image(visibility='private')
    path = f'/images/{image_id}'
    member = client.as_user(MEMBER)
    assert client.request('GET', path).status_code == 200
    assert member.request('GET', path).status_code == 404
    assert client.request('GET', path, token='nobody').status_code == 401
    client.delete(image_id)


def test_identity_headers_are_not_believed(stock):
    headers = {
        'X-Identity-Status': 'Confirmed',
        'X-User-Id': 'eve',
        'X-Project-Id': 'eve',
        'X-Roles': 'admin',
    }
    answer = Client(stock).request(
        'GET', '/images', headers=headers, token='nobody'
    )
    assert answer.status_code == 401


def test_what_does_not_hold_is_told_in_words(stock):
    client = Client(stock)
    image_id = client.create_image(DATA)
    path = stock.store_file('s2', image_id)
    path.write_bytes(b'left behind')
    with pytest.raises(AssertionError, match=f'object-.* s2 {image_id}: 11'):
        stock.invariants.assert_hold()
    path.unlink()
    # Only this image: stock Glance leaves things behind in other tests.
    found = {each.image_id for each in stock.invariants.check()}
    assert image_id not in found
    client.delete(image_id)


def test_what_still_goes_on_is_told_in_words(stock):
    """A live task, or an entry in the journal."""
    entry = stock.staging / 'copy-image' / 'journal' / ('0' * 36)
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.touch()
    with pytest.raises(invariants.NotSettled, match=f"after 0 s.*{'0' * 36}"):
        stock.invariants.wait_settled(timeout=0)
    stock.invariants.wait_settled(timeout=0, image_id='another')
    entry.unlink()
    stock.invariants.wait_settled(timeout=0)


def test_an_audit_that_fails_is_told_and_can_be_repeated(stock):
    with pytest.raises(invariants.CheckerFailed, match='TypeError'):
        stock.invariants.audit(stores=5)
    stock.invariants.check()


@pytest.mark.long
def test_an_audit_that_is_impossible_is_told_in_words(stock):
    stock.invariants.close()
    elsewhere = stock.conf.rename(stock.folder / 'elsewhere')
    try:
        with pytest.raises(invariants.CheckerFailed, match='glance-api.conf'):
            stock.invariants.check()
    finally:
        elsewhere.rename(stock.conf)
