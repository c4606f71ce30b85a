# SPDX-License-Identifier: Apache-2.0

from tests.cloud import pools
from tests.stores import conformance


class TestStreamingToTheDriver(
    pools.InPools, conformance.StreamingConformance
):
    """glance_store's own driver for rbd reads what was staged."""


class TestStreamingToTheDriverThroughAWindow(TestStreamingToTheDriver):
    window = conformance.WINDOW
