# SPDX-License-Identifier: Apache-2.0

"""The URLs of all locations: read page by page, changed one by one."""

import dataclasses

from glance.common import crypt
from glance.db.sqlalchemy import api
from glance.db.sqlalchemy import models
from oslo_config import cfg

from glance_copy_plugin.records import rows
from glance_copy_plugin.records.retry import retried

CONF = cfg.CONF
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
    key = CONF.metadata_encryption_key
    with api.session_for_write() as session:
        if not rows.begin(session, recorded.image_id):
            return False
        row = session.get(models.ImageLocation, recorded.row)
        if row is None or row.deleted or rows.url_of(row) != recorded.url:
            return False
        row.value = crypt.urlsafe_encrypt(key, url) if key else url
        row.meta_data = metadata
        return True
