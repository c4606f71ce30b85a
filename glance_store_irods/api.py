# SPDX-License-Identifier: Apache-2.0

"""What a zone is asked to do with data objects.

Each request needs a Lease and raises glance_store's exceptions. Some are made
here and not by python-irodsclient, whose files cannot be created exclusively,
keep the connection when they fail to open, and read for ever when the
server's process dies in the middle of an answer.
"""

import os
import re
import struct

from glance_store import exceptions
from irods import api_number
from irods import exception
from irods import keywords
from irods import message

from glance_store_irods import errors

# iRODS has numbers of its own for these, which happen to be those of Linux.
_READ_ONLY = 0
_CREATE_NEW = 1 | 64 | 128
_RENAME = 11
_LENGTH = struct.Struct('>i')
_CHECKSUM = re.compile(rb'<myStr>(.*?)</myStr>', re.DOTALL)


def unlink(lease, path):
    """Remove an object for good, without the zone's trash."""
    lease.run(
        lambda session: session.data_objects.unlink(path, force=True),
        'delete', path,
    )


def rename(lease, source, target):
    """Give an object another path; Duplicate if that is taken."""
    request = message.ObjCopyRequest(
        srcDataObjInp_PI=_object(source, oprType=_RENAME),
        destDataObjInp_PI=_object(target, oprType=_RENAME),
    )
    lease.run(
        lambda session: ask(session, 'DATA_OBJ_RENAME_AN', request),
        'move', target,
    )


def checksum(lease, path, fresh=False, number=None):
    """Return the recorded checksum; compute it if there is none.

    :param fresh: compute it in any case
    :param number: of the replica; the zone chooses if None
    :returns: as the zone says it, which may end in garbage
    """
    options = {keywords.FORCE_CHKSUM_KW: ''} if fresh else {}
    if number is not None:
        options[keywords.REPL_NUM_KW] = str(number)
    request = _object(path, KeyValPair_PI=message.StringStringMap(options))

    def compute(session):
        answer = ask(session, 'DATA_OBJ_CHKSUM_AN', request).msg
        # Not parsed, as the garbage may be no XML.
        found = _CHECKSUM.search(answer)
        return found[1].decode('ascii', 'replace') if found else ''

    return lease.run(
        compute, 'checksum', path, seconds=lease.settings.long_timeout,
    )


def replicate(lease, path, resource):
    """Make a further replica on a resource."""
    lease.run(
        lambda session: session.data_objects.replicate(path, resource),
        'replicate', path, seconds=lease.settings.long_timeout,
    )


def copy(lease, source, target):
    """Make a copy on the resource that images are written to."""
    try:
        lease.run(
            lambda session: session.data_objects.copy(
                source, target, **_placement(lease)
            ),
            'copy to', target, seconds=lease.settings.long_timeout,
        )
    except exceptions.NotFound:
        raise exceptions.NotFound(image=source) from None


class OpenObject:
    """A data object that is open on one connection, and lost with it.

    :param lease: Lease
    :param number: of the replica to read; the zone chooses if None
    :param create: open a new object to write, which must not exist
    """

    def __init__(self, lease, path, number=None, *, create=False):
        self.path = path
        self._lease = lease
        options = {}
        if create:
            options = _placement(lease)
        elif number is not None:
            options = {keywords.REPL_NUM_KW: str(number)}
        request = _object(
            path, openFlags=_CREATE_NEW if create else _READ_ONLY,
            dataSize=-1, KeyValPair_PI=message.StringStringMap(options),
        )
        self._descriptor = lease.run(
            lambda session: ask(
                session, 'DATA_OBJ_OPEN_AN', request
            ).int_info,
            'create' if create else 'read', path,
            # Created twice, it would find itself in the way.
            again=not create,
        )
        self._link = lease.link()
        self._link.descriptors.add(self._descriptor)

    @property
    def is_open(self):
        """Whether it was not closed, and the connection not lost."""
        return self._descriptor in self._link.descriptors

    def seek(self, offset):
        """Read from this offset on."""
        def seek(connection):
            found = connection.seek_file(
                self._descriptor, offset, os.SEEK_SET
            )
            if found != offset:
                raise OSError(
                    f'the server went to offset {found}, not {offset}'
                )

        self._run(seek, 'read')

    def size_on_disk(self):
        """Return the size of the file, whatever the catalog says of it."""
        return self._run(
            lambda connection: connection.seek_file(
                self._descriptor, 0, os.SEEK_END
            ), 'read',
        )

    def read(self, size):
        """Return at most ``size`` bytes; none at the end of the object."""
        request = message.OpenedDataObjRequest(
            l1descInx=self._descriptor, len=size, whence=0, oprType=0,
            offset=0, bytesWritten=0, KeyValPair_PI=message.StringStringMap(),
        )

        def read(connection):
            _send(connection, 'DATA_OBJ_READ_AN', request)
            return _receive_bytes(connection.socket, size)

        return self._run(read, 'read')

    def write(self, data):
        """Write all of ``data``."""
        def write(connection):
            count = connection.write_file(self._descriptor, data)
            if count != len(data):
                raise OSError(f'the server wrote {count} of {len(data)} bytes')

        self._run(write, 'write')

    def close(self, seconds=None):
        """Close the object; the connection may be lost by then.

        :param seconds: how long that may take
        """
        if self.is_open:
            self._run(
                lambda connection: connection.close_file(self._descriptor),
                'close', seconds,
            )
            self._link.descriptors.discard(self._descriptor)

    def _run(self, function, action, seconds=None):
        if not self.is_open:
            raise errors.Unavailable(
                message=f'iRODS could not {action} {self.path}: the '
                        f'connection was lost.'
            )

        def operation(session):
            with session.pool.get_connection() as connection:
                return function(connection)

        return self._lease.run(operation, action, self.path, seconds=seconds)


def _placement(lease):
    resource = lease.settings.primary
    return {keywords.DEST_RESC_NAME_KW: resource} if resource else {}


def _object(path, **fields):
    nothing = {
        'createMode': 0, 'openFlags': 0, 'offset': 0, 'dataSize': 0,
        'numThreads': 0, 'oprType': 0,
        'KeyValPair_PI': message.StringStringMap(),
    }
    return message.FileOpenRequest(objPath=path, **{**nothing, **fields})


def ask(session, api, request):
    """Send a request; return the answer, or raise its error."""
    with session.pool.get_connection() as connection:
        _send(connection, api, request)
        return connection.recv()


def _send(connection, api, request):
    connection.send(message.iRODSMessage(
        'RODS_API_REQ', msg=request, int_info=api_number.api_number[api],
    ))


def _receive_bytes(socket, size):
    """Receive an answer; return its bytes, or raise its error."""
    length = _LENGTH.unpack(_exactly(socket, _LENGTH.size))[0]
    header = message.ET().fromstring(bytes(_exactly(socket, length)))
    parts = {
        name: int(header.findtext(name))
        for name in ('msgLen', 'errorLen', 'bsLen', 'intInfo')
    }
    if parts['bsLen'] > size:
        raise OSError(f'the server sent {parts["bsLen"]} bytes, not {size}')
    _exactly(socket, parts['msgLen'] + parts['errorLen'])
    data = _exactly(socket, parts['bsLen'])
    if parts['intInfo'] < 0:
        raise exception.get_exception_by_code(parts['intInfo'])
    return bytes(data)


def _exactly(socket, size):
    """Receive ``size`` bytes, however they come; raise if the end comes."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = socket.recv_into(view)
        if not count:
            raise ConnectionResetError('the server closed the connection')
        view = view[count:]
    return data
