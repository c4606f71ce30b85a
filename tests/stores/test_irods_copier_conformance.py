# SPDX-License-Identifier: Apache-2.0

"""The conformance suite, for copies that the zone makes by itself."""

import pytest

from glance_copy_plugin.backends import irods as irods_backend
from glance_store_irods import copying
from tests.parts import irods
from tests.stores import conformance
from tests.stores import irods_zone
from tests.stores import large
from tests.stores import server_side
from tests.stores import sourced


class CopiesInAZone(irods_zone.InAZone, server_side.ServerSide):
    """The source is an object of the zone, too."""

    copier = irods_backend.IrodsCopier()

    @pytest.fixture(autouse=True)
    def look_often(self, monkeypatch):
        monkeypatch.setattr(copying, 'LOOK', 0.02)

    def test_no_byte_passes_through_the_client(
        self, make, zone, source, copy
    ):
        target = make('s1')
        copied = copy([target], [source(conformance.IMAGE)])
        zone.server.counters.reset()
        copied.run()
        assert copied.errors == {}
        read = zone.server.bytes_read
        # Reading back is the price of being sure.
        assert read == (len(conformance.IMAGE) * (self.verify == 'full'))
        assert zone.server.bytes_written == 0


class TestOfObjectsThatWentBad(
    large.LargeImages, CopiesInAZone, server_side.ServerSideConformance
):
    """The catalog has the checksum of the image, as it was written."""

    def large_source(self, make, path):
        target = make('origin')
        url = target.plant(conformance.IMAGE_ID, large.SIZE)
        return super().held(target, url)

    def held(self, target, url):
        held, zone = super().held(target, url), target.zone
        path = url.removeprefix('irods:/')

        def rot(image):
            size = zone.server.replica(path).size
            zone.server.set_replica(
                path, checksum=irods.sha2(image),
                # A disk forgets, and invents nothing.
                size=max(size, len(image)),
            )

        held.age = rot
        return held


class TestOfObjectsThatWereNeverRight(
    CopiesInAZone, sourced.SourceConformance
):
    """Only reading back can tell, as the zone computes no sha512."""

    verify = 'full'
