# SPDX-License-Identifier: Apache-2.0

"""Changing a record to what it has to be, whoever changes it too."""

from glance_replicate import errors
from glance_replicate import records


def update(service, image, wanted, finished=True):
    """Make a record what is wanted; return its :class:`Image` then.

    :param service: :class:`ImageService`
    :param image: what it is now, as far as is known
    :param wanted: :class:`Wanted`
    :param finished: remove the mark of an unfinished copy too
    """
    return apply(
        service, image,
        lambda image: records.changes(wanted, image, finished),
    )


def apply(service, image, changes):
    """Change a record; return its :class:`Image` then.

    :param image: what it is now, as far as is known
    :param changes: returns the JSON patch that an :class:`Image` needs
    """
    try:
        return _patched(service, image, changes(image))
    except errors.Refused as exc:
        if exc.status != 409:
            raise
        # The answer to the same request may have been lost before.
        record = service.image(image.id)
        if record is None:
            raise
    image = records.of_api(record)
    return _patched(service, image, changes(image))


def _patched(service, image, changes):
    if not changes:
        return image
    return records.of_api(service.patch(image.id, changes))
