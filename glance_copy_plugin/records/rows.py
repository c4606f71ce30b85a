# SPDX-License-Identifier: Apache-2.0

"""The rows of one image, read and written within a transaction.

Each of our transactions begins with a write to the image's own row: that row
stays ours until the end, so what is read then stays true until then. Glance's
saves begin with the same row.
"""

from glance.common import crypt
from glance.db.sqlalchemy import models
from oslo_config import cfg
from oslo_utils import timeutils

CONF = cfg.CONF

LOCK = 'os_glance_import_task'
IMPORTING = 'os_glance_importing_to_stores'
FAILED = 'os_glance_failed_import'
GONE = ('deleted', 'pending_delete')


def begin(session, image_id):
    """Take the image's row; False if the image was deleted."""
    return bool(session.query(models.Image).filter_by(
        id=image_id, deleted=False
    ).filter(
        models.Image.status.not_in(GONE)
    ).update(
        {'updated_at': timeutils.utcnow()}, synchronize_session=False
    ))


def status(session, image_id):
    """Return the image's status."""
    return session.query(models.Image.status).filter_by(id=image_id).scalar()


def is_unknown(value):
    """True if a column of the image does not tell; a size of 0 does."""
    return value is None or value == ''


def describe(session, image_id, known):
    """Write of the image's bytes what the record does not say.

    :param known: ``{column: value}`` of ``size``, ``checksum``,
        ``os_hash_algo`` and ``os_hash_value``, or a part of them
    :returns: the algorithm and the value of the hash, as recorded now
    """
    image = session.query(models.Image).filter_by(id=image_id).one()
    for name in ('size', 'checksum', 'os_hash_value'):
        if name in known and is_unknown(getattr(image, name)):
            setattr(image, name, known[name])
            if name == 'os_hash_value':
                # One is nothing without the other.
                image.os_hash_algo = known['os_hash_algo']
    return image.os_hash_algo, image.os_hash_value


def lock_holder(session, image_id):
    """Return the id of the task that holds the image, or None."""
    row = _properties(session, image_id, LOCK).filter_by(
        deleted=False
    ).one_or_none()
    return None if row is None else row.value


def unlock(session, image_id, task_id):
    """Drop the image's lock; False if that task does not hold it."""
    # Marked, and not removed: a deletion by Glance that has just read the
    # properties fails half-way when one of them is gone.
    return bool(_properties(session, image_id, LOCK).filter_by(
        deleted=False, value=task_id
    ).update(
        {'deleted': True, 'deleted_at': timeutils.utcnow()},
        synchronize_session=False,
    ))


def set_stores(session, image_id, name, stores):
    """Let a reserved property name these stores."""
    # A property that was deleted once keeps its row, marked so.
    row = _properties(session, image_id, name).one_or_none()
    if row is None:
        row = models.ImageProperty(image_id=image_id, name=name)
        session.add(row)
    row.value = ','.join(sorted(stores))
    row.deleted, row.deleted_at = False, None


def locations(session, image_id):
    """Return the image's location rows that are not deleted."""
    return session.query(models.ImageLocation).filter_by(
        image_id=image_id, deleted=False
    ).all()


def store_of(location):
    """Return the store that a location row names, or None."""
    return (location.meta_data or {}).get('store')


def url_of(location):
    """Return the URL of a location row in clear."""
    key = CONF.metadata_encryption_key
    value = location.value
    return crypt.urlsafe_decrypt(key, value) if key else value


def set_url(location, url):
    """Give a location row another URL."""
    location.value = _to_keep(url)


def add_location(session, image_id, url, metadata):
    """Add a location row."""
    session.add(models.ImageLocation(
        image_id=image_id,
        value=_to_keep(url),
        meta_data=metadata,
        status='active',
        deleted=False,
    ))


def drop_location(location):
    """Mark a location row as deleted, as Glance does."""
    location.deleted, location.status = True, 'deleted'
    location.deleted_at = timeutils.utcnow()


def _to_keep(url):
    key = CONF.metadata_encryption_key
    return crypt.urlsafe_encrypt(key, url) if key else url


def _properties(session, image_id, name):
    return session.query(models.ImageProperty).filter_by(
        image_id=image_id, name=name
    )
