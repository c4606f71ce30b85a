# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on Cinder, for the driver and for the copier."""

from glance_copy_plugin.copiers import cinder as cinder_copier
from tests.cloud import volumes
from tests.stores import conformance
from tests.stores import server_side


class TestStreamingToTheDriver(
    volumes.InCinder, conformance.StreamingConformance
):
    """The driver writes what was staged into a volume."""


class TestCopyingAndReadingBack(
    volumes.InCinder, server_side.ServerSide, conformance.StoreConformance
):
    """Cinder makes a volume of a snapshot, and changes its type."""

    copier = cinder_copier.CinderCopier()
    verify = 'full'
