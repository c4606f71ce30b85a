# SPDX-License-Identifier: Apache-2.0

"""How large a volume is made for an image."""

from oslo_utils import units

_LARGEST_STEP = 64


def gigabytes_for(size):
    """Return the GiB of a volume for so many bytes; 0 if not known."""
    return max(1, -(-size // units.Gi))


def next_sizes(gigabytes):
    """Return the sizes to try when a volume is full, the best first.

    Each extension costs a detachment and an attachment, so that steps get
    larger and larger. Where a quota does not allow that, one GiB may do.
    """
    step = min(gigabytes, _LARGEST_STEP)
    return [gigabytes + step] + ([gigabytes + 1] if step > 1 else [])
