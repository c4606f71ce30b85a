# SPDX-License-Identifier: Apache-2.0

"""Dumps of the replicator: one that is all right, and ways to spoil it."""

import hashlib
import json
import pathlib

from glance_replicate import dump_reading
from glance_replicate import dump_writing
from glance_replicate import records

IMAGE = 'a1b2c3d4-1111-4222-8333-abcdefabcdef'
GOOD = b'the bytes of an image\n' * 500


def image(data=GOOD, image_id=IMAGE, name='good'):
    """Return the record of an image with these bytes."""
    return records.Image(
        id=image_id, status='active', size=len(data), algorithm='sha512',
        digest=hashlib.sha512(data).hexdigest(),
        checksum=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        owner='demo', base={
            'name': name, 'disk_format': 'raw', 'container_format': 'bare',
            'min_disk': 0, 'min_ram': 0, 'visibility': 'private',
            'protected': False, 'os_hidden': False,
        },
        properties={'kind': 'x'}, tags=frozenset({'t'}), stores=(),
        created_at='2026-01-01T00:00:00Z',
    )


def make(top, data=GOOD, image_id=IMAGE, name='good'):
    """Write a dump of one image; return its directory."""
    top = pathlib.Path(top)
    folder = top / dump_reading.IMAGES / image_id
    folder.mkdir(parents=True)
    record = image(data, image_id, name)
    metadata = dump_writing.encode_record(record, {'friend'})
    (folder / dump_reading.DATA).write_bytes(data)
    (folder / dump_reading.METADATA).write_bytes(metadata)
    (top / dump_reading.NAME).write_bytes(dump_writing.encode({
        'format': dump_reading.FORMAT, 'version': dump_reading.VERSION,
        'images': {
            image_id: {
                'size': len(data), 'algorithm': 'sha512',
                'digest': hashlib.sha512(data).hexdigest(),
                'metadata': hashlib.sha256(metadata).hexdigest(),
            },
        },
    }))
    return top


def edit_list(top, edit):
    """Change the list of a dump."""
    path = top / dump_reading.NAME
    found = json.loads(path.read_text())
    edit(found)
    path.write_text(json.dumps(found))


def edit_record(top, edit):
    """Change the record of the image, and its hash in the list."""
    path = top / dump_reading.IMAGES / IMAGE / dump_reading.METADATA
    found = json.loads(path.read_text())
    edit(found)
    write_record(top, json.dumps(found).encode())


def write_record(top, data):
    """Write the record of the image, and its hash in the list."""
    path = top / dump_reading.IMAGES / IMAGE / dump_reading.METADATA
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit_list(
        top, lambda found: found['images'][IMAGE].update(metadata=digest)
    )


class Item:
    """An image that is kept in memory."""

    def __init__(self, data, name='good'):
        self.image = image(data, name=name)
        self.id, self.name = self.image.id, name
        self._data = data

    def refresh(self):
        return self.image

    def open(self, offset):
        yield self._data[offset:]
