# SPDX-License-Identifier: Apache-2.0

"""Requests to Cinder about volumes, their types, and snapshots."""

import logging

from cinderclient import exceptions as cinder_exceptions
from glance_store import exceptions
from oslo_utils import units

from glance_store_cinder import errors
from glance_store_cinder import provenance

LOG = logging.getLogger(__name__)

# In other states, something is done with a snapshot already.
_DELETABLE = ('available', 'error')


class UnusableType(Exception):
    """Says in a sentence why no volume of a type can be made."""


def name_of(image_id):
    """Return the name of the volume of an image."""
    return f'image-{image_id}'


def gigabytes_for(size):
    """Return the GiB of a volume for so many bytes; 0 if not known."""
    return max(1, -(-size // units.Gi))


class Volumes:
    """The volumes that one user of Cinder sees.

    Where a ``beat`` is taken, it is called with each look at what Cinder
    does, and raises to stop waiting.

    :param client: of python-cinderclient
    :param settings: :class:`CinderSettings` of the store
    """

    def __init__(self, client, settings):
        self.client = client
        self.settings = settings
        self._seconds = settings.timeout

    def get(self, volume_id):
        """Return a volume.

        :raises: NotFound
        """
        with errors.translated(f'show volume {volume_id}'):
            return self.client.volumes.get(volume_id)

    def find(self, name=None):
        """Return the volumes of a name, or all that the user has."""
        with errors.translated('list volumes'):
            return self.client.volumes.list(
                search_opts={'name': name} if name else None
            )

    def create(self, gigabytes, metadata, snapshot_id=None, beat=None):
        """Make a volume, and wait until it can be used.

        If that fails, no volume stays.

        :param metadata: from :func:`provenance.of_new`
        :param snapshot_id: of what the volume shall hold; it has the type of
            that volume then, and else that of the store
        """
        name = name_of(metadata[provenance.IMAGE])
        try:
            volume = self.client.volumes.create(
                gigabytes, name=name, metadata=metadata,
                snapshot_id=snapshot_id, volume_type=(
                    None if snapshot_id else self.settings.volume_type
                ),
            )
        except Exception as exc:
            if errors.is_passing(exc):
                self._remove_lost(name, metadata)
            action = f'make a volume of {gigabytes} GiB'
            raise errors.translate(exc, action) from exc
        try:
            return self.wait(volume.id, ('creating',), beat=beat)
        except BaseException:
            self.remove(volume.id)
            raise

    def _remove_lost(self, name, metadata):
        """Remove a volume that was made, though no answer said so."""
        try:
            found = self.find(name)
        except Exception as exc:
            LOG.warning(
                'A volume with the name %(name)s may stay behind in Cinder: '
                '%(why)s', {'name': name, 'why': exc},
            )
            return
        writer = metadata[provenance.WRITER]
        for volume in found:
            if volume.metadata.get(provenance.WRITER) == writer:
                self.remove(volume.id)

    def wait(self, volume_id, passing, wanted='available', beat=None):
        """Wait until a volume has the wanted state; return the volume.

        :param passing: states on the way there
        :raises: BackendException if it gets into another one
        """
        return self._wait(
            self.client.volumes, 'volume', volume_id, passing, wanted, beat
        )

    def _wait(self, manager, what, its_id, passing, wanted, beat):
        def look():
            if beat is not None:
                beat()
            return manager.get(its_id)

        with errors.translated(f'show {what} {its_id}'):
            found = errors.poll(
                look, lambda found: found.status not in passing, self._seconds
            )
        said = f'{what.capitalize()} {its_id} is'
        if found.status in passing:
            raise errors.Unreachable(
                message=f'{said} still {found.status} after '
                        f'{self._seconds} s.'
            )
        if found.status != wanted:
            raise exceptions.BackendException(
                f'{said} {found.status} instead of {wanted}'
                f'{self.reason(its_id)}.'
            )
        return found

    def reason(self, resource_id):
        """Return what Cinder says to users about it, to end a sentence."""
        try:
            messages = self.client.messages.list(
                search_opts={'resource_uuid': resource_id}
            )
        except Exception as exc:
            LOG.debug('Cinder does not say why: %s', exc)
            return ''
        said = [message.user_message for message in messages]
        return f': {said[0].rstrip(".")}' if said else ''

    def extend(self, volume_id, gigabytes, state):
        """Make a volume larger; return its new size in GiB.

        :param state: that of the volume before and after
        :raises: StorageFull
        """
        with errors.translated(f'extend volume {volume_id}'):
            self.client.volumes.extend(volume_id, gigabytes)
        volume = self.wait(volume_id, ('extending',), state)
        if volume.size < gigabytes:
            raise exceptions.StorageFull(
                message=f'Volume {volume_id} could not be extended to '
                        f'{gigabytes} GiB.'
            )
        return volume.size

    def finish(self, volume, size):
        """Say in a volume's metadata that the image in it is complete.

        :param size: bytes of the image
        """
        client = self.client
        with errors.translated(f'change the metadata of volume {volume.id}'):
            if volume.metadata.get(provenance.SIZE) != str(size):
                client.volumes.set_metadata(
                    volume, {provenance.SIZE: str(size)}
                )
            client.volumes.update_readonly_flag(volume, True)
            provenance.delete(client, volume.id, provenance.WRITER)

    def delete(self, volume_id):
        """Delete a volume; return False if its state does not allow that.

        Raises what the client does.
        """
        try:
            self.client.volumes.delete(volume_id)
        except cinder_exceptions.BadRequest:
            return self.client.volumes.get(volume_id).status == 'deleting'
        return True

    def remove(self, volume_id):
        """Delete a volume that is of no use; never raises for Cinder.

        What Cinder does with it just now is waited for.
        """
        def attempt():
            # Before a backend is chosen, Cinder would forget the volume at
            # once, and the backend would make it nevertheless.
            if self.client.volumes.get(volume_id).status == 'creating':
                return False
            return self.delete(volume_id)

        self._remove(f'Volume {volume_id}', attempt)

    def _remove(self, what, attempt):
        def gone():
            try:
                return attempt()
            except cinder_exceptions.NotFound:
                return True

        why = f'it could not be deleted within {self._seconds} s'
        try:
            if errors.poll(gone, bool, self._seconds):
                return
        except errors.OF_CLIENTS as exc:
            why = exc
        LOG.error(
            '%(what)s stays behind in Cinder: %(why)s. Delete it by hand.',
            {'what': what, 'why': why},
        )

    # Snapshots that volumes are copied from; they last as long as the copy.

    def create_snapshot(self, volume_id, metadata, beat):
        """Make a snapshot of a volume, which may be in use; return it.

        If that fails, no snapshot stays.

        :param metadata: from :func:`provenance.of_new`
        """
        with errors.translated(f'make a snapshot of volume {volume_id}'):
            made = self.client.volume_snapshots.create(
                volume_id, force=True, metadata=metadata,
                name=name_of(metadata[provenance.IMAGE]),
            )
        try:
            return self._wait(
                self.client.volume_snapshots, 'snapshot', made.id,
                ('creating',), 'available', beat,
            )
        except BaseException:
            self.remove_snapshot(made.id)
            raise

    def remove_snapshot(self, snapshot_id, beat=None):
        """Delete a snapshot, and wait until it is gone.

        Never raises for Cinder. A volume that was made of it may have to be
        separated from it first, which copies all of its data.
        """
        def attempt():
            if beat is not None:
                beat()
            manager = self.client.volume_snapshots
            try:
                if manager.get(snapshot_id).status in _DELETABLE:
                    manager.delete(snapshot_id)
            except cinder_exceptions.BadRequest as exc:
                LOG.debug(
                    'Snapshot %s is not deleted yet: %s', snapshot_id, exc
                )
            return False

        self._remove(f'Snapshot {snapshot_id}', attempt)

    def find_snapshots(self, image_id=None):
        """Return the snapshots that the store has made for copies.

        :param image_id: only for that image
        """
        return [
            each for each in self._list_snapshots(
                {'name': name_of(image_id)} if image_id else None
            )
            if each.metadata.get(provenance.STORE) == self.settings.store
            and provenance.WRITER in each.metadata
        ]

    def remove_snapshots_of(self, volume_id):
        """Remove what copies have made of a volume that shall be deleted.

        Also those of copies that go on, which need no more of it then.
        """
        for each in self._list_snapshots({'volume_id': volume_id}):
            if provenance.WRITER in each.metadata:
                self.remove_snapshot(each.id)

    def has_snapshots(self, volume_id):
        """True if there is a snapshot of a volume."""
        return bool(self._list_snapshots({'volume_id': volume_id}))

    def _list_snapshots(self, search):
        with errors.translated('list snapshots'):
            return self.client.volume_snapshots.list(search_opts=search)

    # Types.

    def check_type(self):
        """See whether volumes of the store's type can be made.

        :raises: UnusableType; glance_store's exceptions if Cinder did not
            tell
        """
        name = self.settings.volume_type
        if not name:
            return
        try:
            with errors.translated('list the volume types'):
                # A type that is private to other projects is not among them.
                known = {each.name for each in self.client.volume_types.list()}
        except Exception as exc:
            if isinstance(exc.__cause__, cinder_exceptions.Forbidden):
                raise UnusableType(
                    f'the user may not see whether the volume type {name} '
                    'exists'
                ) from exc
            raise
        if name not in known:
            raise UnusableType(
                f'the volume type {name} does not exist in Cinder, or the '
                'user may not use it'
            )

    def own_type(self):
        """Return the name of the store's type, or of Cinder's default one."""
        if self.settings.volume_type:
            return self.settings.volume_type
        with errors.translated('tell its default volume type'):
            return self.client.volume_types.default().name
