# SPDX-License-Identifier: Apache-2.0

"""What a worker does again and again, when something of it fails."""

import threading
import types

import pytest

from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import jobs
from glance_copy_plugin.worker import periodic_work

# A quarter of it passes between two rounds.
EXPIRY = 0.2
TIMEOUT = 60
STORES = jobs.Stores(names=('s1',), writable=('s1',))


class Claim:
    """A claim that notes when it was renewed, or fails to be."""

    image_id = 'image'

    def __init__(self, *failures):
        self.failures = list(failures)
        self.ended = False
        self.renewed = threading.Event()

    def renew(self):
        if self.failures:
            raise self.failures.pop()
        self.renewed.set()


@pytest.fixture
def renewer():
    made = periodic_work.LeaseRenewer(EXPIRY)
    yield made
    for claim in made.claims():
        claim.ended = True


def test_a_claim_that_cannot_be_renewed_keeps_no_other_from_it(
    renewer, caplog,
):
    claims = [Claim(RuntimeError('broken')), Claim()]
    for each in claims:
        renewer.add(each)
    renewer.start()
    assert claims[1].renewed.wait(TIMEOUT)
    assert 'Cannot renew the claim of image image: broken' in caplog.text
    assert claims[0].renewed.wait(TIMEOUT)


def test_claims_are_renewed_again_after_the_board_was_silent(
    renewer, caplog,
):
    claim = Claim(board_client.JobboardUnreachable('it hangs'))
    renewer.add(claim)
    renewer.start()
    assert claim.renewed.wait(TIMEOUT)
    assert 'Cannot renew claims: jobboard unreachable: it hangs' in caplog.text


def test_a_claim_that_has_ended_is_forgotten(renewer):
    claim = Claim()
    renewer.add(claim)
    assert renewer.claims() == [claim]
    claim.ended = True
    assert renewer.claims() == []


def test_a_worker_is_announced_at_once_and_again_until_it_withdraws():
    said = []
    twice = threading.Event()

    def announce(name, stores):
        said.append((name, stores))
        if len(said) == 2:
            raise board_client.JobboardUnreachable('it hangs')
        if len(said) > 2:
            twice.set()

    board = types.SimpleNamespace(
        expiry=EXPIRY, announce=announce, workers=dict,
        withdraw=lambda name: said.append(('withdrawn', name)),
    )
    registration = periodic_work.Registration(board, 'a', STORES)
    registration.start()
    assert twice.wait(TIMEOUT)
    registration.stop()
    assert said[0] == ('a', STORES)
    assert said[-1] == ('withdrawn', 'a')
