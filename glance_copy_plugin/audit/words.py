# SPDX-License-Identifier: Apache-2.0

"""Words for what went wrong while auditing or repairing."""

from glance_copy_plugin import stores
from glance_copy_plugin.transfer import errors


def describe(error):
    """Say in a few words why something could not be done."""
    return errors.redact(stores.reason(error))
