# SPDX-License-Identifier: Apache-2.0

"""How a copy left its image's record, and putting that right again.

Glance's own requests (PATCH, tags, DELETE of one store) read an image and save
all of it later. One that has read before a copy ended and saves afterwards
puts old values back and drops locations that it does not know, or revives
those that were taken back.
"""

import dataclasses

import glance.db

from glance_copy_plugin.records import rows
from glance_copy_plugin.records import tasks
from glance_copy_plugin.records.retry import retried


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """What a copy has left in the record of its image when it ended.

    :param failed: the stores that did not get the image
    :param kept: ``{store: (url, metadata)}`` of the stores that got it
    :param taken_back: ``{store: url}`` of those that had it for a while
    :param known: what its bytes are, as :func:`rows.describe` takes it
    """

    image_id: str
    task_id: str
    failed: frozenset
    kept: dict
    taken_back: dict
    known: dict

    def is_told(self, facts):
        """True if the record says of the image's bytes what is known."""
        return not any(
            rows.is_unknown(getattr(facts, name)) for name in self.known
        )


def is_newest(ending):
    """True unless the image was copied, or is copied, once more."""
    task = tasks.newest_copy(ending.image_id)
    return task is not None and task['id'] == ending.task_id


@retried
def restore(ending, *, lost, revived, failed):
    """Write what a late save has broken, unless the image is locked.

    :param lost: stores of ``kept`` whose location was dropped
    :param revived: stores of ``taken_back`` whose location came back
    :param failed: write also which stores have failed
    """
    image_id = ending.image_id
    with glance.db.get_api().session_for_write() as session:
        if (
            not rows.begin(session, image_id)
            or rows.lock_holder(session, image_id) is not None
        ):
            return
        rows.describe(session, image_id, ending.known)
        rows.set_stores(session, image_id, rows.IMPORTING, ())
        if failed:
            rows.set_stores(session, image_id, rows.FAILED, ending.failed)
        found = rows.locations(session, image_id)
        for store in set(lost).difference(map(rows.store_of, found)):
            rows.add_location(session, image_id, *ending.kept[store])
        dangling = [
            row for row in found if rows.store_of(row) in revived
            and rows.url_of(row) == ending.taken_back[rows.store_of(row)]
        ]
        # An image without any location would be no better.
        for row in dangling if len(dangling) < len(found) else ():
            rows.drop_location(row)
