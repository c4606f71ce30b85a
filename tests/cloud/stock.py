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

"""What is known that glance_store's own driver gets wrong.

``CINDER_DRIVER=cinder pytest tests/cloud -m fails_with_stock`` shows it: each
test with that mark must fail then, for one of the reasons in ``FAILURES``.
"""

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions
import pytest

from tests.cloud import cinder_parts
from tests.cloud.services import leftovers
from tests.harness import RequestFailed

MARK = 'fails_with_stock'
IS_TESTED = cinder_parts.DRIVER == cinder_parts.STOCK
# Not among them: what a test gets wrong, such as an AttributeError.
FAILURES = (
    AssertionError, RequestFailed, pytest.fail.Exception,
    cinder_exceptions.ClientException, exceptions.BackendException,
    exceptions.GlanceStoreException,
)
# Seconds for what is being deleted; what is expected to stay is not waited
# for as long.
PATIENCE = 10 if IS_TESTED else leftovers.SETTLE_SECONDS


def fails(item):
    """Tell whether a test is expected to fail with the driver under test."""
    return IS_TESTED and item.get_closest_marker(MARK) is not None


def expect_failures(items):
    """Have tests fail that are known to; one that passes is an error then."""
    for item in filter(fails, items):
        what = item.get_closest_marker(MARK).args[0]
        item.add_marker(pytest.mark.xfail(
            reason=what, strict=True, raises=FAILURES
        ))
