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

"""The driver ``cinder_multi`` by itself, with the real Cinder and Ceph."""

import pytest

from tests.cloud.cinder_parts import DRIVER
from tests.cloud.services import stores as given
from tests.functional import helpers
from tests.functional.helpers import MIB

pytestmark = pytest.mark.usefixtures('nothing_left')


@pytest.fixture
def fast(cloud, open_stores):
    """One store, and the other that makes them several."""
    return open_stores(
        fast=given.cinder(cloud, 'glance-fast', driver=DRIVER),
        slow=given.cinder(cloud, 'glance-slow', driver=DRIVER),
    )


@pytest.mark.parametrize('size', [0, 1, 4 * MIB, 9 * MIB + 5])
@pytest.mark.parametrize('known', [True, False])
def test_what_was_written_is_read(fast, size, known):
    content = helpers.data(size)
    _, url = fast.add('fast', content, size if known else 0)
    assert fast.read('fast', url) == content
    assert fast['fast'].get_size(fast.at('fast', url)) == size
    fast.delete('fast', url)
