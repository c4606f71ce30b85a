# SPDX-License-Identifier: Apache-2.0

"""Writing a dump: an image is in it completely, or not at all."""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import itertools
import json
import os
import threading

from glance_replicate import comparing
from glance_replicate import dump_reading
from glance_replicate import errors
from glance_replicate import folders
from glance_replicate import putting
from glance_replicate import records
from glance_replicate import results
from glance_replicate import streams
from glance_replicate import text

_BLOCK = 4096  # a file system keeps no smaller holes
_ZEROES = bytes(_BLOCK)


class Dump:
    """A directory that images are dumped into; a context manager.

    :param path: the directory, which is created if it does not exist
    :param dry_run: create nothing
    """

    def __init__(self, path, dry_run=False):
        self._path = path
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._open = contextlib.ExitStack()
        self._entries = {}

    def __enter__(self):
        make = not self._dry_run
        if self._dry_run and not os.path.exists(self._path):
            return self
        with contextlib.ExitStack() as stack:
            self.top = stack.enter_context(
                folders.Folder.of_user(self._path, make)
            )
            _lock(self.top)
            self._entries = _known(self.top)
            if make and not self.top.has(dump_reading.NAME):
                # A dump of no images is one, too.
                write_manifest(self.top, {})
            if make or self._entries:
                self.images = stack.enter_context(
                    self.top.folder(dump_reading.IMAGES, make)
                )
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._open.close()

    def entry(self, image_id):
        """Return the :class:`ManifestEntry` of an image, or None."""
        return self._entries.get(image_id)

    def add(self, image_id, entry):
        """Put the entry of an image that is there into the manifest."""
        with self._lock:
            self._entries[image_id] = entry
            write_manifest(self.top, self._entries)


def _lock(top):
    """Keep others from dumping into the directory while it is open."""
    try:
        fcntl.flock(top.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise errors.ReplicatorError(
            f'Another process is dumping into {text.safe(top.path)}'
        ) from None


def _known(top):
    """Return the entries of the manifest that are valid."""
    if not top.has(dump_reading.NAME):
        return {}
    return {
        image_id: entry
        for image_id, entry in dump_reading.read_manifest(top).items()
        if isinstance(entry, dump_reading.ManifestEntry)
    }


def write_manifest(folder, entries):
    """Replace the manifest of a dump."""
    folder.write(dump_reading.NAME, encode({
        'format': dump_reading.FORMAT, 'version': dump_reading.VERSION,
        'images': {
            image_id: dataclasses.asdict(entry)
            for image_id, entry in sorted(entries.items())
        },
    }))


def encode(value):
    """Return JSON that people and programs can read."""
    return (json.dumps(value, indent=1, sort_keys=True) + '\n').encode()


def encode_record(image, members):
    """Return the bytes of ``image.json``.

    :param image: :class:`Image`
    :param members: ids of the projects that it is shared with
    :raises: :class:`ReplicatorError` if it would be too large to be read
    """
    checksum = image.checksum
    found = encode({
        'id': image.id, 'base': dict(image.base),
        'properties': dict(image.properties), 'tags': sorted(image.tags),
        'owner': image.owner, 'members': sorted(members),
        'checksum': checksum if records.is_hash('md5', checksum) else None,
        'created_at': image.created_at,
    })
    if len(found) > dump_reading.LARGEST_RECORD:
        raise errors.ReplicatorError(
            f'its properties are larger than '
            f'{text.size(dump_reading.LARGEST_RECORD)}'
        )
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dumper:
    """Dumps images, several at a time.

    :param dump: :class:`Dump`
    :param retries: :class:`Retries`
    :param limit: :class:`BandwidthLimit`
    :param display: :class:`Display`
    :param members: also write down who the images are shared with
    :param dry_run: write nothing
    """

    dump: object
    retries: object
    limit: object
    display: object
    members: bool = False
    dry_run: bool = False

    def put(self, item):
        """Dump an :class:`Item`; return the :class:`Result`."""
        try:
            image = item.refresh()
            shared = self.members and image.base['visibility'] == 'shared'
            metadata = encode_record(
                image, item.members() if shared else set()
            )
            entry = self.dump.entry(image.id)
            if entry is not None and self._is_there(image, entry):
                return self._update(image, entry, metadata)
            notes = putting.unverifiable(image)
            if self.dry_run:
                return results.of(
                    results.WOULD_COPY, image, image.size, notes
                )
            size = self._write(item, image, metadata)
            return results.of(results.COPIED, image, size, notes)
        except errors.Vanished as exc:
            return results.of(results.VANISHED, item.image, detail=str(exc))

    def _is_there(self, image, entry):
        """True if the data in the directory is that of the image."""
        known = dataclasses.replace(
            image, size=entry.size, algorithm=entry.algorithm,
            digest=entry.digest, checksum=None,
        )
        if comparing.same_data(image, known) is False:
            return False
        try:
            with self.dump.images.folder(image.id) as folder:
                return folder.size(dump_reading.DATA) == entry.size
        except folders.BadDump:
            # It is lost or damaged, and is written again.
            return False

    def _update(self, image, entry, metadata):
        digest = hashlib.sha256(metadata).hexdigest()
        with self.dump.images.folder(image.id) as folder:
            before = folder.read(
                dump_reading.METADATA, dump_reading.LARGEST_RECORD
            )
            if digest == entry.metadata and before == metadata:
                return results.of(results.SAME, image)
            if self.dry_run:
                return results.of(results.WOULD_UPDATE, image)
            folder.write(dump_reading.METADATA, metadata)
        self.dump.add(image.id, dataclasses.replace(entry, metadata=digest))
        return results.of(results.UPDATED, image)

    def _write(self, item, image, metadata):
        """Write everything under another name, and rename it at the end.

        :returns: the number of bytes of the image
        """
        images, part = self.dump.images, f'.{image.id}.part'
        images.remove(part)
        try:
            with images.folder(part, make=True) as folder:
                sent, algorithm = self._write_data(item, image, folder)
                folder.write(dump_reading.METADATA, metadata)
                folder.sync()
            item.refresh()
        except errors.ReplicatorError:
            # Others may need the space that it takes.
            images.remove(part)
            raise
        # Until the entry is replaced, the manifest has the old hash.
        images.remove(image.id)
        images.rename(part, image.id)
        self.dump.add(image.id, dump_reading.ManifestEntry(
            size=sent.size, algorithm=algorithm,
            digest=sent.computed[algorithm],
            metadata=hashlib.sha256(metadata).hexdigest(),
        ))
        return sent.size

    def _write_data(self, item, image, folder):
        self.display.begin(image.id, image.name, image.size)
        body = streams.Body.of_item(
            item, image, self.retries, self.limit,
            functools.partial(self.display.advance, image.id),
        )
        with folder.create(dump_reading.DATA) as stream:
            writer = SparseWriter(stream)
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


class SparseWriter:
    """Writes bytes into an empty file, with a hole wherever they are zero.

    :param stream: the file, open for writing without a buffer
    """

    def __init__(self, stream):
        self._stream = stream
        self._position = 0

    def write(self, chunk):
        """Write all of these bytes, or raise OSError."""
        for is_hole, pieces in itertools.groupby(self._cut(chunk), _is_empty):
            run = b''.join(pieces)
            if not is_hole:
                self._stream.seek(self._position)
                folders.write_all(self._stream, run)
            self._position += len(run)

    def end(self):
        """Make the file as long as what was written."""
        self._stream.truncate(self._position)

    def _cut(self, chunk):
        """Yield the blocks of the file that the bytes belong to."""
        begin, end = 0, _BLOCK - self._position % _BLOCK
        while begin < len(chunk):
            yield chunk[begin:end]
            begin, end = end, end + _BLOCK


def _is_empty(block):
    return block == _ZEROES[:len(block)]
