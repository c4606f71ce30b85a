# SPDX-License-Identifier: Apache-2.0

"""The conformance suite on Cinder, for the driver and for the copier."""

import pytest

from glance_copy_plugin.backends import cinder as cinder_backend
from tests.cloud import volumes
from tests.stores import conformance
from tests.stores import server_side


class VolumesOfAnyName:
    """Cinder takes any number of volumes for one image."""

    def test_what_a_crash_left_is_replaced(self):
        pytest.skip('it is in nobody\'s way; recovery removes it')

    def test_another_copy_does_not_replace_one_that_is_in_use(self):
        pytest.skip('another copy is a volume of its own')


class TestStreamingToTheDriver(
    VolumesOfAnyName, volumes.InCinder, conformance.StreamingConformance
):
    """The driver writes what was staged into a volume."""


class TestWritingWhatStagingHasHashed(
    VolumesOfAnyName, volumes.InCinder, conformance.StoreConformance
):
    """The plugin itself writes what was staged into a volume."""

    writer = cinder_backend.CinderWriter()


class TestCopyingAndReadingBack(
    VolumesOfAnyName, volumes.InCinder, server_side.ServerSide,
    conformance.StoreConformance,
):
    """Cinder makes a volume of a snapshot, and changes its type."""

    copier = cinder_backend.CinderCopier()
    verify = 'full'
