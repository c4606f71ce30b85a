# SPDX-License-Identifier: Apache-2.0

"""What is written into a volume's metadata, and what it means."""

import uuid

from cinderclient.v3 import volumes_base
from oslo_utils import units

from glance_store_cinder import processes

IMAGE = 'glance_image_id'
SIZE = 'image_size'
OWNER = 'image_owner'
STORE = 'glance_store'
WRITER = 'glance_writer'
_READER = 'glance_reader_'


def of_new(image_id, size, owner, store):
    """Return the metadata of a volume that this process begins to write.

    As long as it has a writer, the volume is not complete.
    """
    return {
        IMAGE: str(image_id),
        SIZE: str(size),
        OWNER: str(owner),
        STORE: store,
        WRITER: f'{processes.token()} {uuid.uuid4().hex[:8]}',
    }


def of_reader():
    """Return a key that is not taken, and the value for it."""
    return f'{_READER}{uuid.uuid4().hex[:12]}', processes.token()


def with_attachment(value, attachment_id):
    """Return the value of a reader whose attachment is known."""
    return f'{value} {attachment_id}'


def attachment_of(key, value):
    """Return the attachment that a reader has noted, or None."""
    parts = value.split()
    return parts[4] if key != WRITER and len(parts) > 4 else None


def users(volume, writer=True):
    """Return who reads or writes a volume, as {key: value}."""
    return {
        key: value for key, value in volume.metadata.items()
        if key.startswith(_READER) or (writer and key == WRITER)
    }


def is_partial(volume):
    """True if a volume is not complete, whether its writer lives or not."""
    return WRITER in volume.metadata


def image_size(volume):
    """Return the bytes of the image in a volume."""
    told = volume.metadata.get(SIZE, '')
    return int(told) if told.isdecimal() else volume.size * units.Gi


def delete(client, volume_id, key):
    """Delete one key, whatever others do to the metadata meanwhile.

    For this microversion, the client replaces all of the metadata instead.
    """
    volumes_base.VolumeManager.delete_metadata(
        client.volumes, volume_id, [key]
    )
