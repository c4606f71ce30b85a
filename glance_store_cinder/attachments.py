# SPDX-License-Identifier: Apache-2.0

"""Attaching volumes to this host, and detaching what was left attached."""

import logging
import queue
import threading
import time

from cinderclient import exceptions as cinder_exceptions
from glance_store.common import utils

from glance_store_cinder import connectors
from glance_store_cinder import errors
from glance_store_cinder import provenance

LOG = logging.getLogger(__name__)

_MOUNTPOINT = 'glance_store'
# Seconds within which a living process has noted what it has attached.
_NOTED_AFTER = 10
# States that end by themselves, or when others have done with the volume.
_BUSY = (
    'available', 'in-use', 'reserved', 'attaching', 'detaching',
    'downloading', 'extending', 'creating',
)
# Seconds between two looks of the thread below, and before it tries again.
_LOOK = 5
_PAUSE = 5
_LONGEST_PAUSE = 300


class Attachment:
    """A volume that is attached and connected to this host.

    ``device`` is its :class:`Device`.

    :param volumes: :class:`Volumes`
    :param volume: cinderclient's object
    :param chown: context manager that lets this process open a path
    :param writable: else it is read only
    """

    def __init__(self, volumes, volume, chown, writable=False):
        self._volumes = volumes
        self._client = volumes.client
        self._volume = volume
        self._chown = chown
        self._writable = writable
        # The key of the metadata by which this process is known as a reader.
        self._key = None
        self._id = None
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

    def close(self):
        """Undo it all, as far as it was done; what fails is tried later.

        :returns: a function that tries what has failed once more, or None
        """
        try:
            self._disconnect()
        except Exception:
            LOG.exception('Cannot disconnect volume %s', self._volume.id)
        try:
            errors.insist(self.release)
        except Exception as exc:
            LOG.warning(
                'Volume %(id)s could not be detached; this is tried again '
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
        if self._key is not None:
            _remove_keys(self._client, volume_id, [self._key])
            self._key = None

    def _open(self):
        client, volume_id = self._client, self._volume.id
        settings = self._volumes.settings
        host = connectors.host_properties(settings)
        if not self._writable:
            self._key, value = provenance.of_reader()
            client.volumes.set_metadata(self._volume, {self._key: value})
        self._id = _reserve(
            self._volumes, volume_id, 'rw' if self._writable else 'ro',
            self._key,
        )
        if not self._writable:
            client.volumes.set_metadata(self._volume, {
                self._key: provenance.with_attachment(value, self._id)
            })
        attachment = client.attachments.update(
            self._id, {**host, 'mountpoint': _MOUNTPOINT}
        )
        self._volume = client.volumes.get(volume_id)
        self.device = connectors.connect(
            client, self._volume, attachment, settings
        )
        self.device.open(self._writable, self._chown)
        client.attachments.complete(self._id)

    def _disconnect(self):
        device, self.device = self.device, None
        if device is None:
            return
        device.close()
        if not device.is_shared:
            device.disconnect()
            return

        @utils.synchronized(self._volume.id, external=True)
        def disconnect_last():
            users = provenance.users(
                self._client.volumes.get(self._volume.id)
            )
            users.pop(self._key, None)
            if not any(
                provenance.is_here(value) and not provenance.is_dead(value)
                for value in users.values()
            ):
                device.disconnect()

        disconnect_last()


def release_dead(client, volume_id, writer=False, own=None, seen=None):
    """Detach a volume from processes of this host that are gone.

    :param client: of Cinder
    :param writer: also from one that wrote it; if it is known to be of no
        use, from one of another host too
    :param own: the key of the caller, who has no attachment yet
    :param seen: {attachment: when it was first seen}, kept by the caller
    """
    # In this order: whoever attaches has told so before.
    attached = client.attachments.list(search_opts={'volume_id': volume_id})
    users = provenance.users(client.volumes.get(volume_id), writer)
    users.pop(own, None)
    dead = {
        key: value for key, value in users.items()
        if provenance.is_dead(value) or (writer and key == provenance.WRITER)
    }
    if not dead:
        return
    noted = {
        provenance.attachment_of(key, value): key
        for key, value in users.items()
    }
    # They died before they could note their attachment.
    without = [
        key for key, value in dead.items()
        if provenance.attachment_of(key, value) is None
    ]
    for attachment in attached:
        key = noted.get(attachment.id)
        if attachment.instance or key in set(users) - set(dead):
            continue
        if key in dead or (without and (
            len(dead) == len(users) or _is_unclaimed(attachment, seen)
        )):
            LOG.warning(
                'Detaching volume %(id)s, which %(who)s had attached and '
                'left behind', {
                    'id': volume_id,
                    'who': provenance.describe(dead[key or without[0]]),
                },
            )
            _delete(client, attachment.id)
        else:
            # It may be what one of those has left.
            dead = {key: dead[key] for key in dead if key not in without}
    _remove_keys(
        client, volume_id, [key for key in dead if key != provenance.WRITER]
    )


def _is_unclaimed(attachment, seen):
    """True if a living process would have noted it as its own by now."""
    if seen is None:
        return False
    now = time.monotonic()
    return now - seen.setdefault(attachment.id, now) > _NOTED_AFTER


def _holders(volume):
    """Say who uses a volume, for a sentence."""
    known = sorted({
        provenance.describe(value)
        for value in provenance.users(volume).values()
    })
    return ' and '.join(known) or 'somebody else'


def _reserve(volumes, volume_id, mode, own):
    """Return the id of a new attachment, as soon as there can be one."""
    client, seconds, seen = volumes.client, volumes.settings.timeout, {}

    def attempt():
        try:
            return client.attachments.create(volume_id, None, mode=mode)['id']
        except cinder_exceptions.BadRequest:
            if client.volumes.get(volume_id).status not in _BUSY:
                raise
            release_dead(client, volume_id, own=own, seen=seen)
            return None
        except Exception as exc:
            if errors.is_passing(exc):
                _forget_lost(client, volume_id, own)
            raise

    made = errors.poll(
        lambda: errors.insist(attempt), bool, seconds, retry_errors=False
    )
    if made is None:
        volume = volumes.get(volume_id)
        volume.metadata.pop(own, None)
        raise errors.Unreachable(
            message=f'Volume {volume_id} is {volume.status}: '
                    f'{_holders(volume)} has used it for the {seconds} s '
                    'that this host waited for it.'
        )
    return made


def _forget_lost(client, volume_id, own):
    """Remove an attachment that was made, though no answer said so."""
    attached = client.attachments.list(search_opts={'volume_id': volume_id})
    users = provenance.users(client.volumes.get(volume_id))
    if set(users) <= {own, provenance.WRITER}:
        for attachment in attached:
            if not attachment.instance:
                _delete(client, attachment.id)


def _delete(client, attachment_id):
    try:
        client.attachments.delete(attachment_id)
    except cinder_exceptions.NotFound:
        LOG.debug('Attachment %s is gone', attachment_id)


def _remove_keys(client, volume_id, keys):
    for key in keys:
        try:
            provenance.delete(client, volume_id, key)
        except cinder_exceptions.NotFound:
            LOG.debug('Key %s of volume %s is gone', key, volume_id)


class Retries:
    """Calls functions in a thread until they succeed.

    The thread begins with the first use, so that a process that forks its
    workers has none to lose.

    :param look: called every few seconds beside that; does not raise
    """

    def __init__(self, look):
        self._look = look
        # The only kind that a destructor may put something into.
        self._queue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread = None

    def ensure_running(self):
        """Start the thread unless it runs; not to be called by destructors."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name='cinder-retries', daemon=True
                )
                self._thread.start()

    def add(self, function):
        """Have a function called, soon, until it does not raise."""
        self._queue.put(function)

    def _run(self):
        waiting = []
        while True:
            due = min((due for due, _, _ in waiting), default=float('inf'))
            seconds = min(_LOOK, max(0.1, due - time.monotonic()))
            try:
                function = self._queue.get(timeout=seconds)
                waiting.append((time.monotonic(), _PAUSE, function))
            except queue.Empty:
                self._look()
            waiting = [
                left for entry in waiting
                if (left := _attempt(*entry)) is not None
            ]


def _attempt(due, pause, function):
    """Return the entry for another time, or None if it is done."""
    if time.monotonic() < due:
        return due, pause, function
    try:
        function()
    except Exception as exc:
        if errors.is_passing(exc):
            LOG.warning(
                'A volume could not be detached, trying again in %(pause)d '
                's: %(why)s', {'pause': pause, 'why': exc},
            )
            return (
                time.monotonic() + pause, min(2 * pause, _LONGEST_PAUSE),
                function,
            )
        LOG.exception('A volume stays attached. Detach it by hand.')
    return None
