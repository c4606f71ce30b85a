# SPDX-License-Identifier: Apache-2.0

from glance_copy_plugin.backends import irods as irods_backend
from tests.stores import conformance
from tests.stores import irods_zone
from tests.stores import large


class TestStreamingToTheDriver(
    large.LargeImages, irods_zone.InAZone, conformance.StreamingConformance
):
    """What is true of streaming to the driver for iRODS."""


class TestWritingWhatStagingHasHashed(
    irods_zone.InAZone, conformance.StoreConformance
):
    """What is true of what the plugin itself sends to the zone."""

    writer = irods_backend.IrodsWriter()
