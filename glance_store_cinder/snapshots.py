# SPDX-License-Identifier: Apache-2.0

"""Snapshots that volumes are copied from; they last as long as the copy."""

import logging

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions

from glance_store_cinder import errors
from glance_store_cinder import polling
from glance_store_cinder import provenance
from glance_store_cinder import volumes

LOG = logging.getLogger(__name__)

# In other states, something is done with a snapshot already.
_DELETABLE = ('available', 'error')


def create(client, told, volume_id, metadata, beat):
    """Make a snapshot of a volume, which may be in use; return it.

    If that fails, no snapshot stays.

    :param metadata: from :func:`provenance.of_new`
    :param beat: called with each look; raises to stop
    """
    with errors.translated(f'make a snapshot of volume {volume_id}'):
        made = client.volume_snapshots.create(
            volume_id, force=True, metadata=metadata,
            name=volumes.name_of(metadata[provenance.IMAGE]),
        )

    def look():
        beat()
        return client.volume_snapshots.get(made.id)

    try:
        with errors.translated(f'show snapshot {made.id}'):
            found = polling.poll(
                look, lambda each: each.status != 'creating', told.patience
            )
        if found.status != 'available':
            raise exceptions.BackendException(
                f'Snapshot {made.id} of volume {volume_id} is '
                f'{found.status} instead of available.'
            )
    except BaseException:
        remove(client, made.id, told.patience)
        raise
    return found


def remove(client, snapshot_id, seconds, beat=None):
    """Delete a snapshot, and wait until it is gone; never raises for Cinder.

    A volume that was made of it may have to be separated from it first, which
    copies all of its data.

    :param beat: called with each look; raises to stop waiting
    """
    def gone():
        if beat is not None:
            beat()
        try:
            found = client.volume_snapshots.get(snapshot_id)
            if found.status in _DELETABLE:
                client.volume_snapshots.delete(snapshot_id)
        except cinder_exceptions.NotFound:
            return True
        except cinder_exceptions.BadRequest as exc:
            LOG.debug('Snapshot %s is not deleted yet: %s', snapshot_id, exc)
        return False

    why = f'it was not deleted within {seconds} s'
    try:
        if polling.poll(gone, bool, seconds):
            return
    except (
        cinder_exceptions.ClientException, cinder_exceptions.ConnectionError,
    ) as exc:
        why = exc
    LOG.error(
        'Snapshot %(id)s stays behind in Cinder: %(why)s',
        {'id': snapshot_id, 'why': why},
    )


def find(client, store, image_id=None):
    """Return the snapshots that a store has made for copies.

    :param store: its name
    :param image_id: only for that image
    """
    search = {'name': volumes.name_of(image_id)} if image_id else None
    with errors.translated('list snapshots'):
        found = client.volume_snapshots.list(search_opts=search)
    return [
        each for each in found
        if each.metadata.get(provenance.STORE) == store
        and provenance.WRITER in each.metadata
    ]


def remove_from(client, volume_id, seconds):
    """Remove what copies have made of a volume that shall be deleted.

    Also those of copies that go on, which need no more of it then.
    """
    with errors.translated(f'list the snapshots of volume {volume_id}'):
        found = client.volume_snapshots.list(
            search_opts={'volume_id': volume_id}
        )
    for each in found:
        if provenance.WRITER in each.metadata:
            remove(client, each.id, seconds)
