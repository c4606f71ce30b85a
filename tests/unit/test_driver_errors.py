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

"""What a user is told of what a store's driver says."""

from glance_store import exceptions
import pytest

from glance_copy_plugin import stores

QUOTA = 'Maximum number of volumes allowed (1) exceeded'
ZONE = 'cannot write /z/a: SYS_RESC_QUOTA_EXCEEDED, no space left.'


@pytest.mark.parametrize(('error', 'told'), [
    (exceptions.StorageFull(), 'no space left'),
    (exceptions.StorageFull(message=QUOTA), f'no space left: {QUOTA}'),
    (exceptions.StorageFull(message=ZONE), ZONE),
])
def test_a_full_store_says_of_what_there_is_too_little(error, told):
    found = stores.target_error(error, 's1')
    assert str(found) == f'store s1: {told}'
    assert not found.retryable
