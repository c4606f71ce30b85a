# SPDX-License-Identifier: Apache-2.0

"""What a user is told of what a store's driver says."""

from glance_store import exceptions
import pytest

from glance_copy_plugin.backends import driver_errors

QUOTA = 'Maximum number of volumes allowed (1) exceeded'
ZONE = 'cannot write /z/a: SYS_RESC_QUOTA_EXCEEDED, no space left.'


@pytest.mark.parametrize(('error', 'told'), [
    (exceptions.StorageFull(), 'no space left'),
    (exceptions.StorageFull(message=QUOTA), f'no space left: {QUOTA}'),
    (exceptions.StorageFull(message=ZONE), ZONE),
])
def test_a_full_store_says_of_what_there_is_too_little(error, told):
    found = driver_errors.target_error(error, 's1')
    assert str(found) == f'store s1: {told}'
    assert not found.retryable
