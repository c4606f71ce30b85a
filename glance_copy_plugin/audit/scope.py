# SPDX-License-Identifier: Apache-2.0

"""What is audited, and what of it is settled."""

import contextlib
import os

from glance.common import exception
import glance.context
import glance.db
from oslo_utils import timeutils

from glance_copy_plugin.reconcile import objects as image_objects
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import space

_PAGE = 100
_SETTLED = ('active', 'deactivated')


class Scope:
    """Glance's records, and what of this node they are compared with.

    :param journal: :class:`Journal` of this host
    :param staging_dir: directory of the staging area
    :param uploads_dir: directory of Glance's own staging store
    :param stores: names of the stores to look at
    :param verify: also read and hash every recorded object
    :param age: seconds without any sign of life after which nobody works on
        a task, a journal entry, or a file
    :param on_bytes: called with the number of bytes of each piece that was
        read and hashed
    """

    def __init__(
        self, *, journal, staging_dir, uploads_dir, stores, verify, age,
        on_bytes=lambda count: None,
    ):
        self.journal = journal
        self.staging = os.path.join(staging_dir, 'copy-image')
        self.space = space.StagingSpace(staging_dir)
        self.uploads = uploads_dir
        self.stores = stores
        self.verify = verify
        self.age = age
        self.on_bytes = on_bytes
        self.context = glance.context.get_admin_context()
        self._repo = glance.db.ImageRepo(self.context, glance.db.get_api())

    def image(self, image_id):
        """Return Glance's object for an image as it is now, or None."""
        try:
            return self._repo.get(image_id)
        except exception.NotFound:
            return None

    def images(self):
        """Yield Glance's object for each image, read some time before."""
        marker = None
        while page := self._repo.list(marker=marker, limit=_PAGE):
            yield from page
            marker = page[-1].image_id

    def bytes_to_read(self):
        """Return how many bytes the recorded objects have together."""
        return sum(
            image.size or 0 for image in self.images()
            for location in image.locations
            if location['metadata'].get('store') in self.stores
        )

    def objects(self, image_id):
        """Return the :class:`ImageObjects` of an image."""
        record = image_record.ImageRecord(self.context, image_id, task_id='')
        return image_objects.ImageObjects(
            image_id, record.facts, self.context
        )

    def is_busy(self, image):
        """True if a task or a request works on the image."""
        return (
            image.status not in _SETTLED
            or image_record.LOCK in image.extra_properties
            or self.in_journal(image.image_id)
        )

    def in_journal(self, image_id):
        """True if a copy of the image runs, or waits to be taken over."""
        return os.path.exists(os.path.join(self.journal.folder, image_id))

    @contextlib.contextmanager
    def leased(self, image_id):
        """Keep copies of this host from an image.

        :returns: the journal's :class:`FileLease`, or None if somebody works
            on the image
        """
        image = self.image(image_id)
        if image is not None and self.is_busy(image):
            yield None
            return
        lease = self.journal.claim(image_id, self.context.request_id)
        try:
            yield lease
        finally:
            if lease is not None:
                lease.remove()

    def is_old(self, moment, factor=1):
        """True if so much time has passed since ``moment`` (UTC)."""
        passed = timeutils.utcnow() - moment
        return passed.total_seconds() >= self.age * factor
