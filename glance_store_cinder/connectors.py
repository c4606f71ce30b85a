# SPDX-License-Identifier: Apache-2.0

"""Connecting this host to an attached volume, and the volume's bytes."""

import contextlib
import errno
import importlib
import os
import shlex
import socket

from glance_store import exceptions
from glance_store._drivers.cinder import base
from os_brick.initiator import connector
from oslo_privsep import priv_context
from oslo_utils import netutils

from glance_store_cinder import rbd_writes

_RBD = 'rbd'
_WRITES_IN_FLIGHT = 4  # of 4 MiB each
_STORAGE_ERRORS = {
    errno.EFBIG: exceptions.StorageFull,
    errno.ENOSPC: exceptions.StorageFull,
    errno.EDQUOT: exceptions.StorageFull,
    errno.EACCES: exceptions.StorageWriteDenied,
    errno.EROFS: exceptions.StorageWriteDenied,
}


def host_properties(settings):
    """Return what Cinder has to know of this host to attach volumes to it."""
    helper = _root_helper(settings)
    priv_context.init(root_helper=shlex.split(helper))
    host = socket.gethostname()
    return connector.get_connector_properties(
        helper, _address(host), settings.options.cinder_use_multipath,
        settings.options.cinder_enforce_multipath, host=host,
    )


def connect(client, volume, attachment, settings):
    """Connect this host to a volume.

    :param client: of Cinder
    :param attachment: cinderclient's object, with ``connection_info``
    :returns: a :class:`Device`, not open yet
    """
    info = attachment.connection_info
    protocol = info['driver_volume_type']
    if protocol == _RBD:
        return RbdDevice(volume, info)
    brick = base.factory(
        protocol,
        volume=volume,
        connection_info=info,
        root_helper=_root_helper(settings),
        use_multipath=settings.options.cinder_use_multipath,
        mountpoint_base=settings.options.cinder_mount_point_base,
        attachment_obj=attachment,
        client=client,
    )
    return HostDevice(volume, brick)


class Device:
    """Reads and writes a volume at any place, for several threads at a time.

    :param volume: cinderclient's object
    """

    # Whether other processes of this host may use the same device.
    is_shared = False

    def __init__(self, volume):
        self._volume = volume
        # The open file, or librbd's image, and what it needs.
        self._file = None
        self._opened = contextlib.ExitStack()

    def open(self, writable, chown):
        """Open it; what is in it stays.

        :param chown: context manager that lets this process open a path
        """
        with self._translated('open'), contextlib.ExitStack() as stack:
            self._file = stack.enter_context(self._open(writable, chown))
            self._opened = stack.pop_all()

    def size(self):
        """Return how many bytes there are."""
        with self._translated('tell the size of'):
            return self._size()

    def read(self, offset, size):
        """Return exactly so many bytes.

        :raises: BackendException if there are less
        """
        with self._translated('read'):
            data = self._read(offset, size)
        if len(data) != size:
            raise exceptions.BackendException(
                f'Volume {self._volume.id} ends at byte {offset + len(data)},'
                ' before the image in it does.'
            )
        return data

    def write(self, offset, data):
        """Write all of ``data``, which is there after :meth:`flush`."""
        with self._translated('write'):
            self._write(offset, data)

    def flush(self):
        """Return when all that was written is on the storage."""
        with self._translated('flush'):
            self._flush()

    def notice_growth(self):
        """Let this host notice that the volume has become larger."""

    def close(self):
        """Close what this process has opened."""
        self._opened.close()

    def disconnect(self):
        """Disconnect the host, which must have closed it before."""

    @contextlib.contextmanager
    def _translated(self, verb):
        try:
            yield
        except Exception as exc:
            number = getattr(exc, 'errno', None)
            kind = _STORAGE_ERRORS.get(abs(number or 0))
            said = f'Cannot {verb} volume {self._volume.id}: {exc}'
            if kind is not None:
                raise kind(message=said) from exc
            raise exceptions.BackendException(said) from exc


class RbdDevice(Device):
    """A volume in Ceph, which librbd opens in this process.

    Not by os-brick, which writes the key of the user into a temporary file
    that stays when the process is killed. Ceph tells librbd of a new size.
    What is written is there after :meth:`flush`; the volume must be a new one.

    :param info: ``connection_info`` of Cinder
    """

    def __init__(self, volume, info):
        super().__init__(volume)
        self._info = info
        self._writes = None

    @contextlib.contextmanager
    def _open(self, _writable, _chown):
        # Only here, for nothing else needs them.
        rados = importlib.import_module('rados')
        rbd = importlib.import_module('rbd')
        info = self._info
        user, cluster = info['auth_username'], info['cluster_name']
        conf = {'mon_host': ','.join(
            f'{netutils.escape_ipv6(host)}:{port}'
            for host, port in zip(info['hosts'], info['ports'], strict=False)
        )}
        if user:
            conf['keyring'] = f'/etc/ceph/{cluster}.client.{user}.keyring'
            # librados would only say that something was not found.
            os.stat(conf['keyring'])
        pool, name = info['name'].split('/')
        with (
            rados.Rados(
                rados_id=user, clustername=cluster, conf=conf
            ) as client,
            client.open_ioctx(pool) as context,
            rbd.Image(context, name) as image,
        ):
            self._writes = rbd_writes.Writes(image, _WRITES_IN_FLIGHT)
            try:
                yield image
            finally:
                self._writes.abandon()

    def _size(self):
        return self._file.size()

    def _read(self, offset, size):
        # librbd takes it for an error to begin after the end.
        size = min(size, max(0, self._file.size() - offset))
        return self._file.read(offset, size) if size else b''

    def _write(self, offset, data):
        self._writes.write(offset, bytes(data))

    def _flush(self):
        self._writes.finish()


class HostDevice(Device):
    """A volume that the host sees as a block device or as a file.

    :param brick: glance_store's object that connects the host to it
    """

    def __init__(self, volume, brick):
        super().__init__(volume)
        self.is_shared = volume.multiattach
        self._brick = brick
        self._info = brick.connect_volume(volume)

    @contextlib.contextmanager
    def _open(self, writable, chown):
        path = self._info['path']
        # Never 'wb': on a file system, that would empty the volume.
        mode = 'r+b' if writable else 'rb'
        with chown(path), open(path, mode, buffering=0) as file:
            self._brick.yield_path(self._volume, file)
            yield file

    def _size(self):
        # A block device has no size in what stat says.
        return os.lseek(self._file.fileno(), 0, os.SEEK_END)

    def _read(self, offset, size):
        pieces, missing = [], size
        while missing:
            piece = os.pread(self._file.fileno(), missing, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            missing -= len(piece)
        return b''.join(pieces)

    def _write(self, offset, data):
        view = memoryview(data)
        while view:
            count = os.pwrite(self._file.fileno(), view, offset)
            offset, view = offset + count, view[count:]

    def _flush(self):
        os.fsync(self._file.fileno())

    def notice_growth(self):
        self._brick.extend_volume()

    def disconnect(self):
        self._brick.disconnect_volume(self._info)


def _root_helper(settings):
    """Return the command that runs others as root."""
    return f'sudo glance-rootwrap {settings.options.rootwrap_config}'


def _address(host):
    """Return an address of the host, of IPv6 if it has one."""
    for family in (socket.AF_INET6, socket.AF_INET):
        try:
            return socket.getaddrinfo(host, None, family)[0][4][0]
        except socket.gaierror:
            if family == socket.AF_INET:
                raise
    return None
