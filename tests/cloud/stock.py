# SPDX-License-Identifier: Apache-2.0

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
