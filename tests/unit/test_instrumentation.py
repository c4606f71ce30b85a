# SPDX-License-Identifier: Apache-2.0

"""What is told of the bytes that a store gets."""

import collections

import pytest

from glance_copy_plugin.transfer import instrumentation


class Sums(instrumentation.Observer):
    """Adds up what each store gets."""

    def __init__(self):
        self.bytes = collections.Counter()

    def received(self, store, count):
        self.bytes[store] += count


@pytest.fixture
def sums():
    before = instrumentation.observer()
    made = Sums()
    instrumentation.use(made)
    yield made
    instrumentation.use(before)


def test_each_byte_is_told_once(sums):
    counted = instrumentation.Counted('s1')
    for count in (0, 10, 10, 25, 100):
        counted.reached(count)
    instrumentation.Counted('s2').reached(7)
    assert sums.bytes == {'s1': 100, 's2': 7}


def test_what_a_store_gets_again_is_told_again(sums):
    counted = instrumentation.Counted('s1')
    counted.reached(60)
    counted.restart()
    counted.reached(60)
    counted.reached(100)
    assert sums.bytes == {'s1': 160}


def test_a_step_back_is_not_told(sums):
    counted = instrumentation.Counted('s1')
    counted.reached(60)
    counted.reached(50)
    counted.reached(70)
    assert sums.bytes == {'s1': 70}
