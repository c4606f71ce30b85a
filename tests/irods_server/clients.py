# SPDX-License-Identifier: Apache-2.0

"""What tests say to a server through the real client."""

from irods import api_number
from irods import exception
from irods import message
import pytest

EXCLUSIVE = 1 | 64 | 128  # O_WRONLY, O_CREAT, O_EXCL of Linux


def code_of(call, *args, **more):
    """Return the code of the error that ``call`` ends with."""
    # The client raises KeyError about a code that it does not know.
    with pytest.raises((exception.iRODSException, KeyError)) as caught:
        call(*args, **more)
    if isinstance(caught.value, KeyError):
        return caught.value.args[0]
    return caught.value.server_msg.int_info


def ask(connection, api, body):
    """Send one message on a connection of the real client's pool."""
    connection.send(message.iRODSMessage(
        'RODS_API_REQ', msg=body, int_info=api_number.api_number[api]
    ))
    return connection.recv()


def open_object(session, path, flags, **options):
    """Open with any flags; return the number of the open file.

    The connection stays in the test's hands as ``session.pool._conn``.
    """
    with session.pool.get_connection() as connection:
        return ask(connection, 'DATA_OBJ_OPEN_AN', message.FileOpenRequest(
            objPath=path, createMode=0, openFlags=flags, offset=0,
            dataSize=-1, numThreads=0, oprType=0,
            KeyValPair_PI=message.StringStringMap(options),
        )).int_info


def create(session, path, data=b'', **options):
    """Create an object that must be new, with ``data`` in it."""
    number = open_object(session, path, EXCLUSIVE, **options)
    connection = session.pool.get_connection()
    try:
        if data:
            connection.write_file(number, data)
        connection.close_file(number)
    finally:
        session.pool.release_connection(connection)


def read(session, path, size=1024 * 1024):
    """Return what is in an object, of which there are ``size`` at most."""
    with session.data_objects.open(path, 'r') as file:
        return file.raw.conn.read_file(file.raw.desc, size) or b''


def statuses(server, path):
    """Return the status of each replica."""
    return [replica.status for replica in server.replicas(path)]
