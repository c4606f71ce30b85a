# SPDX-License-Identifier: Apache-2.0

from tests.stores import conformance
from tests.stores import irods_zone
from tests.stores import large


class IrodsStoreConformance(
    irods_zone.InAZone, conformance.StreamingConformance
):
    """What is true of streaming to the driver for iRODS."""


class TestStreamingToTheDriver(large.LargeImages, IrodsStoreConformance):
    """The image is staged as a whole."""


class TestStreamingToTheDriverThroughAWindow(IrodsStoreConformance):
    window = conformance.WINDOW
