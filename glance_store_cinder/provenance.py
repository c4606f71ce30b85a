# SPDX-License-Identifier: Apache-2.0

"""What a volume's metadata say: its image, who writes it, and who reads it.

A process is named by its host, boot, number and when it began, so that others
on its host can tell whether it still lives.
"""

import os
import socket
import uuid

from cinderclient.v3 import volumes_base
from oslo_utils import units

IMAGE = 'glance_image_id'
SIZE = 'image_size'
OWNER = 'image_owner'
STORE = 'glance_store'
WRITER = 'glance_writer'
_READER = 'glance_reader_'
_BOOT_ID = '/proc/sys/kernel/random/boot_id'
# In /proc/<pid>/stat, counted from after the name of the program.
_START_TIME = 19


def of_new(image_id, size, owner, store):
    """Return the metadata of a volume that this process begins to write.

    As long as it has a writer, the volume is not complete.
    """
    return {
        IMAGE: str(image_id),
        SIZE: str(size),
        OWNER: str(owner),
        STORE: store,
        WRITER: f'{process()} {uuid.uuid4().hex[:8]}',
    }


def of_reader():
    """Return a key that is not taken, and the value for it."""
    return f'{_READER}{uuid.uuid4().hex[:12]}', process()


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
    size = volume.metadata.get(SIZE, '')
    return int(size) if size.isdecimal() else volume.size * units.Gi


def delete(client, volume_id, key):
    """Delete one key, whatever others do to the metadata meanwhile.

    For this microversion, the client replaces all of the metadata instead.
    """
    volumes_base.VolumeManager.delete_metadata(
        client.volumes, volume_id, [key]
    )


def process():
    """Return a few words that name this process among all of all hosts."""
    pid = os.getpid()
    return f'{socket.gethostname()} {_boot()} {pid} {_start_of(pid)}'


def is_here(value):
    """True if a process is one of this host."""
    return value.split()[:1] == [socket.gethostname()]


def is_dead(value):
    """True if it is known that the process is gone.

    Only a process of this host can be known: of others, this says False.
    """
    parts = value.split()
    if len(parts) < 4 or not parts[2].isdigit() or not is_here(value):
        return False
    return parts[1] != _boot() or parts[3] != _start_of(int(parts[2]))


def describe(value):
    """Return how a person names a process."""
    parts = value.split()
    if len(parts) < 4:
        return 'an unknown process'
    return f'process {parts[2]} on host {parts[0]}'


def _boot():
    with open(_BOOT_ID, encoding='ascii') as file:
        return file.read().strip()


def _start_of(pid):
    """Return when a process began, or None if there is none: as text."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            fields = file.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A zombie holds nothing any more.
    return None if fields[0] == 'Z' else fields[_START_TIME]
