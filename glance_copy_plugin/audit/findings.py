# SPDX-License-Identifier: Apache-2.0

"""What an audit may find."""

import dataclasses

UNRECORDED = 'object-without-location'
UNFINISHED = 'unfinished-object'
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

REPAIRABLE = (
    UNRECORDED, UNFINISHED, STAGED, JOURNALLED, LOCKED, PROPERTY, STUCK,
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
    :param proved: False if it may belong to somebody else
    """

    kind: str
    store: str = ''
    image_id: str = ''
    detail: str = ''
    place: str = ''
    proved: bool = True

    @property
    def repairable(self):
        return self.proved and self.kind in REPAIRABLE
