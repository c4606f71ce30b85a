# SPDX-License-Identifier: Apache-2.0

"""Making volumes, waiting for them, and removing them."""

import logging

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions

from glance_store_cinder import errors
from glance_store_cinder import polling
from glance_store_cinder import provenance

LOG = logging.getLogger(__name__)


def name_of(image_id):
    """Return the name of the volume of an image."""
    return f'image-{image_id}'


def get(client, volume_id):
    """Return a volume.

    :raises: NotFound
    """
    with errors.translated(f'show volume {volume_id}'):
        return client.volumes.get(volume_id)


def create(client, told, gigabytes, metadata, snapshot=None, beat=None):
    """Make a volume, and wait until it can be used.

    If that fails, no volume stays.

    :param told: :class:`Settings`
    :param metadata: from :func:`provenance.of_new`
    :param snapshot: id of what the volume shall hold; it has the type of
        that volume then, and else that of the store
    :param beat: called with each look; raises to stop
    """
    name = name_of(metadata[provenance.IMAGE])
    try:
        volume = client.volumes.create(
            gigabytes, name=name, metadata=metadata, snapshot_id=snapshot,
            volume_type=None if snapshot else told.volume_type,
        )
    except Exception as exc:
        if errors.is_passing(exc):
            _remove_lost(client, name, metadata, told.patience)
        action = f'make a volume of {gigabytes} GiB'
        raise errors.translate(exc, action) from exc
    try:
        return wait(
            client, volume.id, ('creating',), 'available', told.patience, beat
        )
    except BaseException:
        remove(client, volume.id, told.patience)
        raise


def wait(client, volume_id, passing, wanted, seconds, beat=None):
    """Wait until a volume has the wanted state; return the volume.

    :param passing: states on the way there
    :param beat: called with each look; raises to stop
    :raises: BackendException if it gets into another one
    """
    def look():
        if beat is not None:
            beat()
        return client.volumes.get(volume_id)

    with errors.translated(f'show volume {volume_id}'):
        volume = polling.poll(
            look, lambda volume: volume.status not in passing, seconds,
        )
    if volume.status in passing:
        raise errors.Unreachable(
            message=f'Volume {volume_id} is still {volume.status} after '
                    f'{seconds} s.'
        )
    if volume.status != wanted:
        raise exceptions.BackendException(
            f'Volume {volume_id} is {volume.status} instead of {wanted}'
            f'{reason(client, volume_id)}.'
        )
    return volume


def reason(client, volume_id):
    """Return what Cinder says to users about it, as the end of a sentence."""
    try:
        messages = client.messages.list(
            search_opts={'resource_uuid': volume_id}
        )
    except Exception as exc:
        LOG.debug('Cinder does not say why: %s', exc)
        return ''
    said = [message.user_message for message in messages]
    return f': {said[0].rstrip(".")}' if said else ''


def extend(client, volume_id, gigabytes, during, told):
    """Make a volume larger; return its new size in gigabytes.

    :param during: its state before and after
    """
    with errors.translated(f'extend volume {volume_id}'):
        client.volumes.extend(volume_id, gigabytes)
    volume = wait(client, volume_id, ('extending',), during, told.patience)
    if volume.size < gigabytes:
        raise exceptions.StorageFull(
            message=f'Volume {volume_id} could not be extended to '
                    f'{gigabytes} GiB.'
        )
    return volume.size


def finish(client, volume, size):
    """Say in a volume's metadata that the image in it is complete.

    :param size: bytes of the image
    """
    with errors.translated(f'change the metadata of volume {volume.id}'):
        if volume.metadata.get(provenance.SIZE) != str(size):
            client.volumes.set_metadata(volume, {provenance.SIZE: str(size)})
        client.volumes.update_readonly_flag(volume, True)
        provenance.delete(client, volume.id, provenance.WRITER)


def remove(client, volume_id, seconds):
    """Delete a volume that is of no use; never raises.

    What Cinder does with it just now is waited for.
    """
    try:
        gone = polling.poll(
            lambda: _try_to_delete(client, volume_id), bool, seconds
        )
    except Exception as exc:
        LOG.error(
            'Volume %(id)s stays behind in Cinder: %(why)s',
            {'id': volume_id, 'why': exc},
        )
        return
    if not gone:
        LOG.error(
            'Volume %(id)s stays behind in Cinder: its state has not allowed '
            'to delete it for %(seconds)s s', {
                'id': volume_id, 'seconds': seconds,
            },
        )


def delete(client, volume_id):
    """Delete a volume; return False if its state does not allow that."""
    try:
        client.volumes.delete(volume_id)
    except cinder_exceptions.BadRequest:
        return client.volumes.get(volume_id).status == 'deleting'
    return True


def has_snapshot(client, volume_id):
    """True if there is a snapshot of a volume."""
    return bool(client.volume_snapshots.list(
        search_opts={'volume_id': volume_id}
    ))


def _try_to_delete(client, volume_id):
    try:
        # Before a backend is chosen, Cinder would forget the volume at once,
        # and the backend would make it nevertheless.
        if client.volumes.get(volume_id).status == 'creating':
            return False
        return delete(client, volume_id)
    except cinder_exceptions.NotFound:
        return True


def _remove_lost(client, name, metadata, seconds):
    """Remove a volume that was made, though no answer said so."""
    try:
        found = find(client, name)
    except Exception as exc:
        LOG.warning('A volume may stay behind in Cinder: %s', exc)
        return
    writer = metadata[provenance.WRITER]
    for volume in found:
        if volume.metadata.get(provenance.WRITER) == writer:
            remove(client, volume.id, seconds)


def find(client, name=None):
    """Return the volumes of a name, or all that the user has."""
    with errors.translated('list volumes'):
        return client.volumes.list(
            search_opts={'name': name} if name else None
        )
