# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Looking for what does not fit: records, stores, staging area."""

import hashlib
import os
import re

from glance.common import exception
import glance.context
import glance.db
import glance_store
from glance_store import exceptions as store_exceptions

from glance_copy_plugin import stores as stores_
from glance_copy_plugin.audit import findings
from glance_copy_plugin.copiers import file as file_copier
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.transfer import errors

_PAGE = 100
_SETTLED = ('active', 'deactivated')
_IMAGE_ID = re.compile(
    r'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$', re.I
)


class Auditor:
    """Compares Glance's records with the stores of this node.

    An image that anything is going on with is left out: its state is not
    settled, and its task will say how it ended.

    :param journal: :class:`Journal` of this host
    :param staging_dir: directory of the staging area
    :param stores: names of the stores to look at
    :param verify: also read and hash every recorded object
    """

    def __init__(self, journal, staging_dir, stores, verify=False):
        self._journal = journal
        self._staging = os.path.join(staging_dir, 'copy-image')
        self._stores = stores
        self._verify = verify
        self._context = glance.context.get_admin_context()
        self._db = glance.db.get_api()

    def run(self):
        """Yield a :class:`Finding` for each thing that does not fit."""
        for image in self._images():
            yield from self._audit_record(image)
        for store in self._stores:
            yield from self._audit_store(store)
        yield from self._audit_staging()

    def is_busy(self, image):
        """True if a task or a request works on the image."""
        return (
            image.status not in _SETTLED
            or image_record.LOCK in image.extra_properties
            or os.path.exists(
                os.path.join(self._journal.folder, image.image_id)
            )
        )

    def image(self, image_id):
        """Return Glance's object for an image as it is now, or None."""
        repo = glance.db.ImageRepo(self._context, self._db)
        try:
            return repo.get(image_id)
        except exception.NotFound:
            return None

    def _images(self):
        repo = glance.db.ImageRepo(self._context, self._db)
        marker = None
        while page := repo.list(marker=marker, limit=_PAGE):
            yield from page
            marker = page[-1].image_id

    def _audit_record(self, image):
        holder = history.lock_without_live_task(image.image_id)
        if holder is not None and not self._in_journal(image.image_id):
            yield findings.Finding(
                kind=findings.LOCKED, image_id=image.image_id,
                detail='locked for a task that has ended or is gone',
                place=holder,
            )
        importing = image.extra_properties.get(image_record.IMPORTING)
        if importing and not self.is_busy(image):
            yield findings.Finding(
                kind=findings.PROPERTY, image_id=image.image_id,
                detail=f'says that it is being copied to {importing}',
            )
        if self.is_busy(image):
            return
        for location in image.locations:
            if location['metadata'].get('store') in self._stores:
                yield from self._audit_location(image, location)

    def _audit_location(self, image, location):
        store = location['metadata']['store']

        def found(kind, detail):
            return findings.Finding(
                kind=kind, store=store, image_id=image.image_id,
                detail=detail, place=location['url'],
            )

        try:
            size = glance_store.get_size_from_uri_and_backend(
                location['url'], store, context=self._context
            )
        except store_exceptions.NotFound:
            yield found(findings.MISSING, 'there is no such object')
            return
        if size != image.size:
            yield found(
                findings.SIZE, f'{size} bytes instead of {image.size}'
            )
        elif self._verify and image.os_hash_value:
            digest = self._digest(location['url'], store, image.os_hash_algo)
            if digest != image.os_hash_value:
                yield found(
                    findings.HASH, f'another {image.os_hash_algo}'
                )

    def _digest(self, url, store, algorithm):
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        chunks, _size = glance_store.get(url, store, context=self._context)
        for chunk in chunks:
            hasher.update(chunk)
        return hasher.hexdigest()

    def _audit_store(self, store):
        driver = stores_.driver(store)
        for path in file_copier.list_files(driver) if driver else ():
            name = os.path.basename(path)
            partial = file_copier.image_of_partial(name)
            image_id = partial or name
            if not _IMAGE_ID.match(image_id):
                continue
            image = self.image(image_id)
            if image is not None and (
                self.is_busy(image) or _refers_to(image, path)
            ):
                continue
            if self._in_journal(image_id):
                continue
            yield self._unrecorded(store, image_id, path, bool(partial))

    def _unrecorded(self, store, image_id, path, partial):
        proved = history.was_ever_an_image(image_id)
        detail = f'{os.path.getsize(path)} bytes'
        if not proved:
            detail += ', of an image that this service does not know'
        return findings.Finding(
            kind=findings.UNFINISHED if partial else findings.UNRECORDED,
            store=store, image_id=image_id, detail=detail, place=path,
            proved=proved,
        )

    def _audit_staging(self):
        try:
            names = sorted(os.listdir(self._staging))
        except FileNotFoundError:
            return
        for task_id in names:
            folder = os.path.join(self._staging, task_id)
            if folder == self._journal.folder or not os.path.isdir(folder):
                continue
            if history.is_live_task(task_id):
                continue
            yield findings.Finding(
                kind=findings.STAGED, detail=f'of task {task_id}',
                place=folder,
            )

    def _in_journal(self, image_id):
        return os.path.exists(os.path.join(self._journal.folder, image_id))


def _refers_to(image, path):
    for location in image.locations:
        url = location['url']
        if url == f'file://{path}':
            return True
        local = url.removeprefix('file://')
        if os.path.exists(local) and os.path.samefile(local, path):
            return True
    return False


def describe(error):
    """Say in a few words why something could not be audited or repaired."""
    return errors.redact(stores_.reason(error))
