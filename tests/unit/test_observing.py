# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What is told of the bytes that a store gets."""

import collections

import pytest

from glance_copy_plugin.transfer import observing


class Sums(observing.Observer):
    """Adds up what each store gets."""

    def __init__(self):
        self.bytes = collections.Counter()

    def received(self, store, count):
        self.bytes[store] += count


@pytest.fixture
def sums():
    before = observing.observer()
    made = Sums()
    observing.use(made)
    yield made
    observing.use(before)


def test_each_byte_is_told_once(sums):
    counted = observing.Counted('s1')
    for count in (0, 10, 10, 25, 100):
        counted.reached(count)
    observing.Counted('s2').reached(7)
    assert sums.bytes == {'s1': 100, 's2': 7}


def test_what_a_store_gets_again_is_told_again(sums):
    counted = observing.Counted('s1')
    counted.reached(60)
    counted.restart()
    counted.reached(60)
    counted.reached(100)
    assert sums.bytes == {'s1': 160}


def test_a_step_back_is_not_told(sums):
    counted = observing.Counted('s1')
    counted.reached(60)
    counted.reached(50)
    counted.reached(70)
    assert sums.bytes == {'s1': 70}


def test_nobody_has_to_listen():
    nobody = observing.Observer()
    nobody.looked()
    nobody.begun()
    nobody.ended(observing.DONE, 1.5)
    nobody.received('s1', 10)
    nobody.retried(observing.READING)
    nobody.taken_over()
