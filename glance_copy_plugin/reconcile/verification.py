# SPDX-License-Identifier: Apache-2.0

"""Reading the data of a location whole: is it the image?"""

from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import generic
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors


def wrong(location, expected, context, on_bytes=lambda count: None):
    """Read the data of a location; say in a few words what is wrong with it.

    :param location: :class:`~backends.base.Location`
    :param expected: :class:`~transfer.digests.Expected`
    :param on_bytes: called with the number of bytes of each piece
    :returns: an empty string if it is the image
    :raises: what the driver raises; :class:`SourceGone`
    """
    hasher = digests.Digests(expected.algorithms)
    count = 0
    for chunk in generic.DriverSource(location, context).read_from(0):
        hasher.update(chunk)
        count += len(chunk)
        on_bytes(len(chunk))
    if expected.size not in (None, count):
        return f'{count} bytes instead of {expected.size}'
    if hasher.hexdigests() != dict.fromkeys(
        expected.algorithms, expected.value
    ):
        return f'another {expected.algorithm}'
    return ''


def why_none_is_right(locations, expected, context):
    """Read locations until one is right; say why if none is.

    :param locations: :class:`~backends.base.Location` objects of this node
    :param expected: :class:`~transfer.digests.Expected` of the image
    :returns: an empty string if one was read and is the image
    """
    if not expected.algorithm:
        return 'its record has no hash to check its other data with'
    reasons = [
        'this node has no store with another location of it'
    ] if not locations else []
    for location in locations:
        try:
            reason = wrong(location, expected, context)
        except Exception as exc:
            # Drivers have exceptions of their own.
            reason = errors.redact(driver_errors.reason(exc))
        if not reason:
            return ''
        reasons.append(f'its data in store {location.store}: {reason}')
    return '; '.join(reasons)
