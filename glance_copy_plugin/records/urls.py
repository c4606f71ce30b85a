# SPDX-License-Identifier: Apache-2.0

"""The URLs of all locations: read page by page, changed one by one."""

import dataclasses

from glance.db.sqlalchemy import api
from glance.db.sqlalchemy import models

from glance_copy_plugin.records import rows
from glance_copy_plugin.records.retry import retried

_PAGE = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """One location row.

    :param row: its id
    :param url: in clear; it may hold a password
    """

    row: int
    image_id: str
    url: str = dataclasses.field(repr=False)
    metadata: dict


def everything():
    """Yield each location that is not deleted, as :class:`Recorded`."""
    after = 0
    while page := _page(after):
        yield from page
        after = page[-1].row


@retried
def _page(after):
    with api.session_for_read() as session:
        found = session.query(models.ImageLocation).filter(
            models.ImageLocation.id > after,
            models.ImageLocation.deleted.is_(False),
        ).order_by(models.ImageLocation.id).limit(_PAGE).all()
        return [
            Recorded(
                row=each.id, image_id=each.image_id, url=rows.url_of(each),
                metadata=dict(each.meta_data or {}),
            ) for each in found
        ]


@retried
def change(recorded, url, metadata):
    """Give a location another URL and metadata.

    :returns: False if it is not what was read any more
    """
    with api.session_for_write() as session:
        if not rows.begin(session, recorded.image_id):
            return False
        row = session.get(models.ImageLocation, recorded.row)
        if row is None or row.deleted or rows.url_of(row) != recorded.url:
            return False
        rows.set_url(row, url)
        row.meta_data = metadata
        return True


@retried
def replace(image_id, url, by):
    """Give the location of an image that has one URL another one.

    :returns: False if it has no such location any more
    """
    with api.session_for_write() as session:
        if not rows.begin(session, image_id):
            return False
        found = [
            row for row in rows.locations(session, image_id)
            if rows.url_of(row) == url
        ]
        for row in found:
            rows.set_url(row, by)
        return bool(found)


@retried
def record_first(image_id, url, metadata):
    """Add a location to an image that has none.

    :returns: False if it has one by now, or is gone
    """
    with api.session_for_write() as session:
        if (
            not rows.begin(session, image_id)
            or rows.locations(session, image_id)
        ):
            return False
        rows.add_location(session, image_id, url, metadata)
        return True
