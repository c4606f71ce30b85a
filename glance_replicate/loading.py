# SPDX-License-Identifier: Apache-2.0

"""Reading a dump: an image is offered only after its bytes were verified."""

import contextlib
import dataclasses
import hashlib

from glance_replicate import dumped
from glance_replicate import errors
from glance_replicate import folders
from glance_replicate import manifest
from glance_replicate import streams


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unusable:
    """An image of a dump that cannot be loaded, and why."""

    id: str
    problem: str
    name: str = ''


@contextlib.contextmanager
def opened(top, cancel):
    """Yield an :class:`Item` or an :class:`Unusable` for each image.

    :param top: :class:`Folder` of the dump
    :raises: :class:`BadDump` if it is no dump at all
    """
    found = manifest.read(top)
    if not found:
        yield []
        return
    with top.folder(manifest.IMAGES) as images:
        yield [
            _item(images, image_id, entry, cancel)
            for image_id, entry in found.items()
        ]


def _item(images, image_id, entry, cancel):
    try:
        if isinstance(entry, folders.BadDump):
            raise entry
        with images.folder(image_id) as folder:
            data = folder.read(manifest.METADATA, dumped.LARGEST)
        image, members = dumped.decode(data, image_id, entry)
        return FolderItem(images, image, members, cancel)
    except folders.BadDump as exc:
        return Unusable(id=image_id, problem=str(exc))


class FolderItem:
    """An image of a dump.

    :param images: :class:`Folder` with the folders of all images
    """

    def __init__(self, images, image, members, cancel):
        self._images = images
        self._members = members
        self._cancel = cancel
        self.image = image
        self.id, self.name = image.id, image.name

    def refresh(self):
        with self._images.folder(self.id) as folder:
            if folder.size(manifest.DATA) != self.image.size:
                raise folders.BadDump('its data are not as long as they were')
        return self.image

    def prepare(self):
        """Read all bytes, and compare their hash with that of the list."""
        hasher = hashlib.new(self.image.algorithm, usedforsecurity=False)
        for chunk in self.open(0):
            self._cancel.check()
            hasher.update(chunk)
        if hasher.hexdigest() != self.image.digest:
            raise folders.BadDump(
                f'its data have another {self.image.algorithm} than '
                f'{manifest.NAME} tells'
            )

    def data(self):
        return self

    def open(self, offset):
        """Yield the bytes from an offset on."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(self._images.folder(self.id))
            stream = stack.enter_context(folder.open(manifest.DATA))
            try:
                stream.seek(offset)
                while chunk := stream.read(streams.CHUNK):
                    yield chunk
            except OSError as exc:
                raise errors.ReplicatorError(
                    f'its data cannot be read: {exc.strerror}'
                ) from exc

    def members(self):
        return self._members
