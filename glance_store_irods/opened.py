# SPDX-License-Identifier: Apache-2.0

"""A data object that is open on one connection."""

from glance_store import exceptions

from glance_store_irods import wire


class Opened:
    """A descriptor; of no use any more when its connection was lost.

    :param lease: Lease
    :param flags: READ_ONLY or CREATE_NEW of the module wire
    :param keywords: {keyword of iRODS: value}
    """

    def __init__(self, lease, path, flags, keywords):
        self.path = path
        self._lease = lease
        self._descriptor = lease.run(
            lambda session: wire.open_object(session, path, flags, keywords),
            'create' if flags else 'read', path,
            # Created twice, it would find itself in the way.
            again=not flags,
        )
        self._link = lease.link()
        lease.descriptors.add(self._descriptor)

    def seek(self, offset):
        self._run(wire.seek, 'read', offset)

    def read(self, size):
        """Return at most ``size`` bytes; none at the end of the object."""
        return self._run(wire.read, 'read', size)

    def write(self, data):
        self._run(wire.write, 'write', data)

    def close(self, seconds=None):
        """Close the object; the connection may be lost by then.

        :param seconds: how long that may take
        """
        if self._is_open():
            self._run(wire.close, 'close', seconds=seconds)
            self._lease.descriptors.discard(self._descriptor)

    def _is_open(self):
        return (
            self._descriptor in self._lease.descriptors
            and self._lease.has(self._link)
        )

    def _run(self, function, action, *arguments, seconds=None):
        if not self._is_open():
            raise exceptions.RemoteServiceUnavailable(
                message=f'iRODS could not {action} {self.path}: the '
                        f'connection was lost.'
            )
        return self._lease.run(
            lambda session: function(session, self._descriptor, *arguments),
            action, self.path, seconds=seconds,
        )
