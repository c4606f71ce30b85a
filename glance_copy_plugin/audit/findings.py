# SPDX-License-Identifier: Apache-2.0

"""What an audit may find."""

import dataclasses

from glance_copy_plugin.backends import base
from glance_copy_plugin.backends import driver_errors
from glance_copy_plugin.transfer import errors

UNRECORDED = 'object-without-location'
UNFINISHED = 'unfinished-object'
MOVED = 'object-at-another-place'
MISSING = 'location-without-object'
UNREADABLE = 'location-not-readable'
CLOSED = 'store-not-readable'
SIZE = 'size-differs'
HASH = 'hash-differs'
HOMELESS = 'image-without-location'
TWICE = 'two-locations-in-store'
STAGED = 'staging-leftover'
JOURNALLED = 'stale-journal-entry'
LOCKED = 'stale-lock'
PROPERTY = 'stale-property'
STUCK = 'stuck-task'
INTERRUPTED = 'interrupted-copy'

# What was done about one that could not be repaired now.
BUSY = 'left alone: somebody works on the image now'
CHANGED = 'left alone: the image has other locations by now'
GONE = 'left alone: the image is gone'
# The ways to repair, each of which an operator has to ask for.
FIX, REPAIR, CORRECT = 'fix', 'repair', 'correct-locations'
WAYS = (
    dict.fromkeys((
        UNRECORDED, UNFINISHED, STAGED, JOURNALLED, LOCKED, PROPERTY, STUCK,
        INTERRUPTED,
    ), FIX)
    | dict.fromkeys((MISSING, SIZE, HASH), REPAIR)
    | {MOVED: CORRECT}
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    :param kind: one of the constants above
    :param store: name of the store, or an empty string
    :param image_id: id of the image, or an empty string
    :param detail: a few words
    :param place: what a repair acts on: a URL, a path, the id of a task, or
        the name of a property; MUST NOT be shown
    :param kept: the :class:`~backends.base.KeptObject` in the store, or None
    :param proved: False if it may belong to somebody else
    """

    kind: str
    store: str = ''
    image_id: str = ''
    detail: str = ''
    place: str = ''
    kept: base.KeptObject | None = None
    proved: bool = True

    @property
    def way(self):
        """How it can be repaired, or None if only a person can."""
        return WAYS.get(self.kind)


def describe(error):
    """Say in a few words why something could not be done."""
    return errors.redact(driver_errors.reason(error))
