# SPDX-License-Identifier: Apache-2.0

from tests.stores import conformance
from tests.stores import irods_zone
from tests.stores import large


class TestStreamingToTheDriver(
    large.LargeImages, irods_zone.InAZone, conformance.StreamingConformance
):
    """What is true of streaming to the driver for iRODS."""
