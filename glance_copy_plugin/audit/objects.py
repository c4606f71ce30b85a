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

"""Looking for objects in stores that no location names."""

import os
import re

from glance_copy_plugin import stores as stores_
from glance_copy_plugin.audit import findings
from glance_copy_plugin.audit import words
from glance_copy_plugin.copiers import file as file_copier
from glance_copy_plugin.records import history

_IMAGE_ID = re.compile(
    r'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$', re.I
)


def find(scope, store):
    """Yield the files of a file store that no location names.

    :param scope: :class:`Scope`
    :param store: name of the store
    """
    driver = stores_.driver(store)
    try:
        paths = file_copier.list_files(driver) if driver else []
    except OSError as exc:
        yield findings.Finding(
            kind=findings.CLOSED, store=store, detail=words.describe(exc),
        )
        return
    for path in paths:
        name = os.path.basename(path)
        partial = file_copier.image_of_partial(name)
        image_id = partial or name
        if not is_image_id(image_id) or _is_accounted_for(
            scope, image_id, path
        ):
            continue
        found = unrecorded(
            findings.UNFINISHED if partial else findings.UNRECORDED,
            image_id, path, store,
        )
        if found is not None:
            yield found


def is_image_id(name):
    """True if a file's name is the id of an image."""
    return _IMAGE_ID.match(name) is not None


def unrecorded(kind, image_id, path, store=''):
    """Return the :class:`Finding` for a file that nobody needs, or None."""
    doomed = history.awaits_scrubbing(image_id)
    if doomed is not None and f'file://{path}' in doomed:
        return None
    try:
        detail = f'{os.path.getsize(path)} bytes'
    except FileNotFoundError:
        return None
    if doomed is None:
        detail += ', of an image that this service does not know'
    return findings.Finding(
        kind=kind, store=store, image_id=image_id, detail=detail, place=path,
        proved=doomed is not None,
    )


def _is_accounted_for(scope, image_id, path):
    if scope.in_journal(image_id):
        return True
    image = scope.image(image_id)
    return image is not None and (
        scope.is_busy(image) or _refers_to(image, path)
    )


def _refers_to(image, path):
    for location in image.locations:
        url = location['url']
        if url == f'file://{path}':
            return True
        local = url.removeprefix('file://')
        if os.path.exists(local) and os.path.samefile(local, path):
            return True
    return False
