# SPDX-License-Identifier: Apache-2.0

"""Attaching volumes to this host, and what that leaves behind."""

import logging
import time

from cinderclient import exceptions as cinder_exceptions
from glance_store.common import utils

from glance_store_cinder import brick
from glance_store_cinder import devices
from glance_store_cinder import errors
from glance_store_cinder import polling
from glance_store_cinder import processes
from glance_store_cinder import provenance
from glance_store_cinder import volumes

LOG = logging.getLogger(__name__)

_MOUNTPOINT = 'glance_store'
# Seconds within which a living process has noted what it has attached.
_NOTED_AFTER = 10
# States that end by themselves, or when others have done with the volume.
_BUSY = (
    'available', 'in-use', 'reserved', 'attaching', 'detaching',
    'downloading', 'extending', 'creating',
)


class Attachment:
    """A volume that is attached and connected to this host.

    :param client: of Cinder
    :param volume: cinderclient's object
    :param told: :class:`Settings`
    :param chown: context manager that lets this process open a path
    :param writable: else it is read only
    """

    def __init__(self, client, volume, told, chown, writable=False):
        self._client = client
        self._volume = volume
        self._told = told
        self._chown = chown
        self._writable = writable
        self._mark = None
        self._id = None
        self._brick = None
        self._info = None
        self.device = None

    def open(self):
        """Attach and connect; wait while others have the volume.

        On any error nothing stays behind.

        :returns: self
        """
        try:
            with errors.translated(f'attach volume {self._volume.id}'):
                self._open()
        except BaseException:
            self.close()
            raise
        return self

    def extended(self):
        """Let this host notice that the volume has grown."""
        self._brick.extend_volume()

    def close(self):
        """Undo it all, as far as it was done; what fails is tried later.

        :returns: a function that tries what has failed once more, or None
        """
        try:
            self._disconnect()
        except Exception:
            LOG.exception('Cannot disconnect volume %s', self._volume.id)
        try:
            polling.insist(self.release)
        except Exception as exc:
            LOG.warning(
                'Volume %(id)s could not be detached, which is tried again '
                'later: %(why)s', {'id': self._volume.id, 'why': exc},
            )
            return self.release
        return None

    def release(self):
        """Remove what Cinder holds for this process; may be repeated."""
        volume_id = self._volume.id
        if self._id is not None:
            _delete(self._client, self._id)
            LOG.debug('Volume %s is detached', volume_id)
            self._id = None
        if self._mark is not None:
            _unmark(self._client, volume_id, [self._mark])
            self._mark = None

    def _open(self):
        client, volume_id = self._client, self._volume.id
        told = brick.properties(self._told)
        mode = 'rw' if self._writable else 'ro'
        if not self._writable:
            key, value = provenance.of_reader()
            self._mark = key
            client.volumes.set_metadata(self._volume, {key: value})
        self._id = _reserve(client, volume_id, mode, self._told, self._mark)
        if self._mark is not None:
            client.volumes.set_metadata(self._volume, {
                key: provenance.with_attachment(value, self._id)
            })
        attachment = client.attachments.update(
            self._id, {**told, 'mountpoint': _MOUNTPOINT}
        )
        self._volume = client.volumes.get(volume_id)
        self._connect(attachment)
        client.attachments.complete(self._id)

    def _connect(self, attachment):
        self._brick = brick.make(
            self._client, self._volume, attachment, self._told
        )
        self._info = self._brick.connect_volume(self._volume)
        path = self._info['path']
        if isinstance(path, str):
            file, opened = devices.open_path(
                path, self._writable, self._chown
            )
            self._brick.yield_path(self._volume, opened)
        else:
            file = devices.RbdImage(path)
        self.device = devices.Device(self._volume.id, file)

    def _disconnect(self):
        if self.device is not None:
            self.device.close()
        if self._info is None:
            return
        info, self._info, self.device = self._info, None, None
        if isinstance(info['path'], str) and self._volume.multiattach:
            self._disconnect_shared(info)
        else:
            self._brick.disconnect_volume(info)

    def _disconnect_shared(self, info):
        """Other processes of this host may use the same block device."""
        @utils.synchronized(self._volume.id, external=True)
        def disconnect():
            volume = self._client.volumes.get(self._volume.id)
            here = processes.token().split()[0]
            others = [
                key for key, value in provenance.users(volume).items()
                if key != self._mark and value.split()[0] == here
                and not processes.is_dead(value)
            ]
            if not others:
                self._brick.disconnect_volume(info)

        disconnect()


def release_dead(client, volume_id, writer=False, own=None, seen=None):
    """Detach a volume from processes of this host that are gone.

    :param writer: also from one that wrote it; if it is known to be of no
        use, from one of another host too
    :param own: the mark of the caller, who has no attachment yet
    :param seen: {attachment: when it was first seen}, kept by the caller
    """
    # In this order: whoever attaches has told so before.
    attached = client.attachments.list(search_opts={'volume_id': volume_id})
    users = provenance.users(client.volumes.get(volume_id), writer)
    users.pop(own, None)
    dead = {
        key: value for key, value in users.items()
        if processes.is_dead(value) or (writer and key == provenance.WRITER)
    }
    if not dead:
        return
    noted = {
        provenance.attachment_of(key, value): key
        for key, value in users.items()
    }
    nameless = [
        key for key, value in dead.items()
        if provenance.attachment_of(key, value) is None
    ]
    for attachment in attached:
        key = noted.get(attachment.id)
        if attachment.instance or key in set(users) - set(dead):
            continue
        if key in dead or (nameless and (
            len(dead) == len(users) or _is_settled(attachment, seen)
        )):
            who = dead[key] if key else dead[nameless[0]]
            LOG.warning(
                'Detaching volume %(id)s, which %(who)s had attached and '
                'left behind',
                {'id': volume_id, 'who': processes.describe(who)},
            )
            _delete(client, attachment.id)
        else:
            # It may be what one of those has left.
            dead = {key: dead[key] for key in dead if key not in nameless}
    _unmark(
        client, volume_id, [key for key in dead if key != provenance.WRITER]
    )


def _is_settled(attachment, seen):
    """True if a living process would have noted it as its own by now."""
    if seen is None:
        return False
    now = time.monotonic()
    return now - seen.setdefault(attachment.id, now) > _NOTED_AFTER


def holders(volume):
    """Say who uses a volume, for a sentence."""
    known = sorted({
        processes.describe(value)
        for value in provenance.users(volume).values()
    })
    return ' and '.join(known) or 'somebody else'


def _reserve(client, volume_id, mode, told, mark):
    """Return the id of a new attachment, as soon as there can be one."""
    seen = {}

    def attempt():
        try:
            return client.attachments.create(volume_id, None, mode=mode)['id']
        except cinder_exceptions.BadRequest:
            if client.volumes.get(volume_id).status not in _BUSY:
                raise
            release_dead(client, volume_id, own=mark, seen=seen)
            return None
        except Exception as exc:
            if errors.is_passing(exc):
                _forget_lost(client, volume_id, mark)
            raise

    made = polling.poll(
        lambda: polling.insist(attempt), bool, told.patience, patient=False
    )
    if made is None:
        volume = volumes.get(client, volume_id)
        volume.metadata.pop(mark, None)
        raise errors.Unreachable(
            message=f'Volume {volume_id} is {volume.status}: '
                    f'{holders(volume)} has used it for the {told.patience} s'
                    ' that were waited for it.'
        )
    return made


def _forget_lost(client, volume_id, mark):
    """Remove an attachment that was made, though no answer said so."""
    attached = client.attachments.list(search_opts={'volume_id': volume_id})
    users = provenance.users(client.volumes.get(volume_id))
    if set(users) <= {mark, provenance.WRITER}:
        for attachment in attached:
            if not attachment.instance:
                _delete(client, attachment.id)


def _delete(client, attachment_id):
    try:
        client.attachments.delete(attachment_id)
    except cinder_exceptions.NotFound:
        LOG.debug('Attachment %s is gone', attachment_id)


def _unmark(client, volume_id, keys):
    for key in keys:
        try:
            provenance.delete(client, volume_id, key)
        except cinder_exceptions.NotFound:
            LOG.debug('Mark %s of volume %s is gone', key, volume_id)

