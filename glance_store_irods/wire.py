# SPDX-License-Identifier: Apache-2.0

"""Requests that python-irodsclient does not offer, or not safely.

Its files cannot be created exclusively, keep the connection when they fail to
open, and read for ever when the server's process dies in the middle of an
answer. Each function here sends one request and waits for its answer.
"""

import os
import struct

from irods import api_number
from irods import exception
from irods import message as irods_message

READ_ONLY = 0
# iRODS has numbers of its own for these, which happen to be those of Linux.
CREATE_NEW = 1 | 64 | 128

_RENAME = 11
_LENGTH = struct.Struct('>i')


def open_object(session, path, flags, keywords):
    """Open a data object; return the descriptor of this connection."""
    request = _object(
        path, openFlags=flags, dataSize=-1,
        KeyValPair_PI=irods_message.StringStringMap(keywords),
    )
    return _ask(session, 'DATA_OBJ_OPEN_AN', request).int_info


def rename(session, source, target):
    """Give a data object another path; nothing is overwritten."""
    _ask(session, 'DATA_OBJ_RENAME_AN', irods_message.ObjCopyRequest(
        srcDataObjInp_PI=_object(source, oprType=_RENAME),
        destDataObjInp_PI=_object(target, oprType=_RENAME),
    ))


def seek(session, descriptor, offset):
    """Read and write from this offset on."""
    with session.pool.get_connection() as connection:
        found = connection.seek_file(descriptor, offset, os.SEEK_SET)
    if found != offset:
        raise OSError(f'the server went to offset {found}, not {offset}')


def write(session, descriptor, data):
    """Write all of ``data``."""
    with session.pool.get_connection() as connection:
        count = connection.write_file(descriptor, data)
    if count != len(data):
        raise OSError(f'the server wrote {count} of {len(data)} bytes')


def close(session, descriptor):
    """Close a data object."""
    with session.pool.get_connection() as connection:
        connection.close_file(descriptor)


def read(session, descriptor, size):
    """Return at most ``size`` bytes; none at the end of the object."""
    request = irods_message.OpenedDataObjRequest(
        l1descInx=descriptor, len=size, whence=0, oprType=0, offset=0,
        bytesWritten=0, KeyValPair_PI=irods_message.StringStringMap(),
    )
    with session.pool.get_connection() as connection:
        connection.send(irods_message.iRODSMessage(
            'RODS_API_REQ', msg=request,
            int_info=api_number.api_number['DATA_OBJ_READ_AN'],
        ))
        return _receive_bytes(connection.socket, size)


def _object(path, **fields):
    nothing = {
        'createMode': 0, 'openFlags': 0, 'offset': 0, 'dataSize': 0,
        'numThreads': 0, 'oprType': 0,
        'KeyValPair_PI': irods_message.StringStringMap(),
    }
    return irods_message.FileOpenRequest(
        objPath=path, **{**nothing, **fields}
    )


def _ask(session, api, request):
    with session.pool.get_connection() as connection:
        connection.send(irods_message.iRODSMessage(
            'RODS_API_REQ', msg=request, int_info=api_number.api_number[api],
        ))
        return connection.recv()


def _receive_bytes(socket, size):
    """Receive an answer; return its bytes, or raise its error."""
    length = _LENGTH.unpack(_exactly(socket, _LENGTH.size))[0]
    header = irods_message.ET().fromstring(bytes(_exactly(socket, length)))
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
