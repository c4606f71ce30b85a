# SPDX-License-Identifier: Apache-2.0

"""Writing a dump: an image is in it whole, or not at all."""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import os
import threading

from glance_replicate import comparing
from glance_replicate import dumped
from glance_replicate import errors
from glance_replicate import folders
from glance_replicate import manifest
from glance_replicate import remarks
from glance_replicate import results
from glance_replicate import sparse
from glance_replicate import streams


class Dump:
    """A directory that images are dumped into; a context manager.

    :param path: the directory, which is made if it is not there
    :param only_look: make nothing, and look at nothing that is not there
    """

    def __init__(self, path, only_look=False):
        self._path = path
        self._only_look = only_look
        self._lock = threading.Lock()
        self._open = contextlib.ExitStack()
        self._entries = {}

    def __enter__(self):
        if self._only_look and not os.path.exists(self._path):
            return self
        with contextlib.ExitStack() as stack:
            make = not self._only_look
            self.top = stack.enter_context(
                folders.Folder.of_user(self._path, make)
            )
            _claim(self.top)
            self._entries = _known(self.top)
            if make and not self.top.has(manifest.NAME):
                # A dump of no images is one, too.
                manifest.write(self.top, {})
            if make or self._entries:
                self.images = stack.enter_context(
                    self.top.folder(manifest.IMAGES, make)
                )
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._open.close()

    def entry(self, image_id):
        """Return what the list tells of an image, or None."""
        return self._entries.get(image_id)

    def add(self, image_id, entry):
        """Let the list tell of an image that is there."""
        with self._lock:
            self._entries[image_id] = entry
            manifest.write(self.top, self._entries)


class Dumper:
    """Dumps images, several at a time.

    :param dump: :class:`Dump`
    :param members: ask who the images are shared with, too
    :param retries: :class:`Retries`
    """

    def __init__(
        self, dump, *, members, dry_run, display, limit, cancel, retries,
    ):
        self._dump = dump
        self._members = members
        self._dry_run = dry_run
        self._display = display
        self._limit = limit
        self._cancel = cancel
        self._retries = retries

    def put(self, item):
        """Dump an :class:`Item`; return the :class:`Result`."""
        try:
            image = item.refresh()
            metadata = dumped.encode(image, self._members_of(item, image))
            notes = remarks.of_source(image)
            entry = self._dump.entry(image.id)
            if entry is not None and self._is_there(image, entry):
                return self._update(image, entry, metadata)
            if self._dry_run:
                return _result(results.WOULD_COPY, image, image.size, notes)
            size = self._write(item, image, metadata)
            return _result(results.COPIED, image, size, notes)
        except errors.Vanished as exc:
            return _result(results.VANISHED, item.image, detail=str(exc))

    def _members_of(self, item, image):
        if not self._members or image.base['visibility'] != 'shared':
            return set()
        return item.members()

    def _is_there(self, image, entry):
        """True if the data in the directory are those of the image."""
        known = dataclasses.replace(
            image, size=entry.size, algorithm=entry.algorithm,
            digest=entry.digest, checksum=None,
        )
        if comparing.same_data(image, known) is False:
            return False
        try:
            with self._dump.images.folder(image.id) as folder:
                return folder.size(manifest.DATA) == entry.size
        except folders.BadDump:
            # It is lost or damaged, and is written again.
            return False

    def _update(self, image, entry, metadata):
        digest = hashlib.sha256(metadata).hexdigest()
        with self._dump.images.folder(image.id) as folder:
            before = folder.read(manifest.METADATA, dumped.LARGEST)
            if digest == entry.metadata and before == metadata:
                return _result(results.SAME, image)
            if self._dry_run:
                return _result(results.WOULD_UPDATE, image)
            folder.write(manifest.METADATA, metadata)
        self._dump.add(image.id, manifest.ManifestEntry(
            size=entry.size, algorithm=entry.algorithm, digest=entry.digest,
            metadata=digest,
        ))
        return _result(results.UPDATED, image)

    def _write(self, item, image, metadata):
        """Write everything under another name, and rename it at the end.

        :returns: the number of bytes of the image
        """
        images, part = self._dump.images, f'.{image.id}.part'
        images.remove(part)
        try:
            with images.folder(part, make=True) as folder:
                sent, algorithm = self._write_data(item, image, folder)
                folder.write(manifest.METADATA, metadata)
                folder.sync()
            item.refresh()
        except errors.ReplicatorError:
            # Others may need the room that it takes.
            images.remove(part)
            raise
        # Of an image that is to be replaced the list still tells.
        images.remove(image.id)
        images.rename(part, image.id)
        self._dump.add(image.id, manifest.ManifestEntry(
            size=sent.size, algorithm=algorithm,
            digest=sent.computed[algorithm],
            metadata=hashlib.sha256(metadata).hexdigest(),
        ))
        return sent.size

    def _write_data(self, item, image, folder):
        self._display.begin(image.id, image.name, image.size)
        body = streams.Body(
            streams.Steady(item.data(), image.size, self._retries),
            image, limit=self._limit, cancel=self._cancel,
            count=functools.partial(self._display.advance, image.id),
        )
        with folder.create(manifest.DATA) as stream:
            writer = sparse.SparseWriter(stream)
            try:
                for chunk in body:
                    writer.write(chunk)
                writer.end()
                os.fsync(stream.fileno())
            except OSError as exc:
                raise errors.ReplicatorError(
                    f'it cannot be written: {exc.strerror}'
                ) from exc
        return body.sent, body.algorithm


def _claim(top):
    """Keep others from dumping into the directory while it is open."""
    try:
        fcntl.flock(top.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise errors.ReplicatorError(
            f'Another process is dumping into {top.path}'
        ) from None


def _known(top):
    """Return what the list tells of, without what is not valid."""
    if not top.has(manifest.NAME):
        return {}
    return {
        image_id: entry for image_id, entry in manifest.read(top).items()
        if isinstance(entry, manifest.ManifestEntry)
    }


def _result(what, image, size=0, detail=''):
    return results.Result(
        what=what, image_id=image.id, name=image.name, size=size or 0,
        detail=detail,
    )
