# SPDX-License-Identifier: Apache-2.0

"""Looking for what does not fit: records, stores, staging area, tasks."""

import contextlib
import dataclasses
import os

from glance import housekeeping
from glance.common import exception
import glance.context
import glance.db
from oslo_config import cfg
from oslo_utils import timeutils

from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import leftovers
from glance_copy_plugin.audit import objects
from glance_copy_plugin.audit import records
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.reconcile import objects as image_objects
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import space

CONF = cfg.CONF

# After so many seconds Glance itself takes a lock for stale.
PATIENCE = 3600
# What a location looks like whose object was moved.
_GONE = (findings.MISSING, findings.UNREADABLE)
_PAGE = 100
_SETTLED = ('active', 'deactivated')


class Auditor:
    """Compares Glance's records with what is on this node.

    What it finds nothing of is what holds for every image that nobody works
    on. An image that anything is going on with is left out: its state is not
    settled, and its task will say how it ended.

    :param scope: :class:`Scope`
    """

    def __init__(self, scope):
        self.scope = scope

    def run(self):
        """Yield a :class:`Finding` for each thing that does not fit."""
        gone = {}
        for image in self.scope.images():
            yield from records.find(self.scope, image)
            if self.scope.is_busy(image):
                continue
            for found in objects.find_damaged(self.scope, image):
                place = found.store, found.image_id
                if found.kind in _GONE and place not in gone:
                    gone[place] = found
                else:
                    yield found
        for store in self.scope.stores:
            for found in objects.find_unrecorded(self.scope, store):
                yield self._moved(found, gone) or found
        yield from gone.values()
        yield from leftovers.find(self.scope)
        yield from records.find_stuck_tasks(self.scope)

    def _moved(self, found, gone):
        """Return what an unrecorded object is if its image misses it.

        :param found: :class:`Finding`
        :param gone: ``{(store, image id): Finding}`` of locations whose data
            is not where they say; what was moved is taken out
        """
        if found.kind != findings.UNRECORDED:
            return None
        lost = gone.pop((found.store, found.image_id), None)
        if lost is not None:
            why = 'the location names another place, where nothing is'
        else:
            image = self.scope.image(found.image_id)
            if image is None or image.locations:
                return None
            why = 'the image has no location'
        return dataclasses.replace(
            found, kind=findings.MOVED, place=lost.place if lost else '',
            detail=f'{found.detail}; {why}. If it was moved or its record was '
            f'lost, run: glance-copy audit --store {found.store} '
            f'--{findings.CORRECT}',
        )


def of_service(
    stores, verify, age=PATIENCE, on_bytes=lambda count: None,
):
    """Return the :class:`Auditor` of the service that is loaded here.

    :param stores: names of the stores to look at
    :param verify: also read and hash every recorded object
    :param age: seconds after which something without a sign of life is dead
    :param on_bytes: called with the number of bytes of each piece that was
        read and hashed
    """
    # The filter does that too, but may be switched off.
    copy_image.register_opts(CONF)
    uploads_dir = housekeeping.staging_store_path()
    return Auditor(Scope(
        journal=service_process.journal(),
        staging_dir=copy_image.copy_options(CONF, uploads_dir).staging_dir,
        uploads_dir=uploads_dir,
        stores=stores,
        verify=verify,
        age=age,
        on_bytes=on_bytes,
    ))


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
