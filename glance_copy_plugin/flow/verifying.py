# SPDX-License-Identifier: Apache-2.0

"""Reading recorded data whole: is it the image, and is it safe elsewhere?

Before anything is removed that may be the last data of an image, the data of
another location must have been read and be right.
"""

from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.backends import generic
from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors


def expected_of(image):
    """Return what the record of an image says about its bytes.

    :param image: Glance's object, or :class:`~records.image.ImageFacts`
    :returns: :class:`~transfer.digests.Expected`
    """
    return digests.Expected.of_image(
        size=image.size, os_hash_algo=image.os_hash_algo,
        os_hash_value=image.os_hash_value, checksum=image.checksum,
    )


def wrong(location, expected, context, on_bytes=lambda count: None):
    """Read the data of a location; say in a few words what is wrong with it.

    :param location: :class:`~copiers.base.Location`
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


def not_safe_in(locations, expected, context):
    """Read locations until one is right; say why if none is.

    :param locations: :class:`~copiers.base.Location` objects of this node
    :param expected: :class:`~transfer.digests.Expected` of the image
    :returns: an empty string if one was read and is the image
    """
    if not expected.algorithm:
        return 'its record has no hash that its other data could be proved by'
    reasons = [
        'no other location of it is in a store of this node'
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
