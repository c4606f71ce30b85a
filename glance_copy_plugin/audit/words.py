# SPDX-License-Identifier: Apache-2.0

"""Words for what was or was not done while auditing or repairing."""

from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.transfer import errors

BUSY = 'left alone: somebody works on the image now'
CHANGED = 'left alone: the image has other locations by now'
GONE = 'left alone: the image is gone'


def describe(error):
    """Say in a few words why something could not be done."""
    return errors.redact(driver_errors.reason(error))
