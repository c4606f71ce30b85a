# SPDX-License-Identifier: Apache-2.0

"""Messages on a socket: a length, a header, XML, an error, raw bytes."""

import dataclasses
import os
import socket
import ssl
import struct
from xml.etree import ElementTree

from tests.irods_server import packing

BUFFER = 4 * 1024 * 1024


class PeerGone(Exception):
    """The client has closed the connection, or it broke."""


@dataclasses.dataclass
class Header:
    """The header of a message: its type, three lengths and a number."""

    type: str
    message: int
    error: int
    body: int
    info: int


def parse_header(text):
    """Return the Header that ``text`` is, as bytes of XML."""
    root = ElementTree.fromstring(text)  # noqa: S314 - a test's own client
    return Header(root.findtext('type'), *(
        int(root.findtext(tag))
        for tag in ('msgLen', 'errorLen', 'bsLen', 'intInfo')
    ))


def pack_header(type_, message, error, body, info):
    """Return the bytes of a header, the length in front included."""
    text = packing.pack('MsgHeader_PI', [
        ('type', type_), ('msgLen', message), ('errorLen', error),
        ('bsLen', body), ('intInfo', info),
    ]).encode()
    return struct.pack('>i', len(text)) + text


class Stream:
    """A connection that reads exactly what it is asked for."""

    def __init__(self, connection):
        self.socket = connection

    def receive_into(self, view):
        """Fill ``view``, or raise PeerGone."""
        while view:
            try:
                count = self.socket.recv_into(view)
            except OSError as error:
                raise PeerGone(str(error)) from error
            if not count:
                raise PeerGone('end of file')
            view = view[count:]

    def receive(self, count):
        """Return the next ``count`` bytes."""
        data = bytearray(count)
        self.receive_into(memoryview(data))
        return bytes(data)

    def receive_header(self):
        """Return the next message's Header."""
        length, = struct.unpack('>i', self.receive(4))
        if not 0 < length < 4096:
            raise PeerGone(f'a header of {length} bytes')
        return parse_header(self.receive(length))

    def send(self, data):
        """Send all of ``data``."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise PeerGone(str(error)) from error

    def send_message(self, type_, message='', error='', info=0, body=0):
        """Send all of a message but its ``body`` raw bytes."""
        message, error = message.encode(), error.encode()
        self.send(
            pack_header(type_, len(message), len(error), body, info)
            + message + error
        )

    def send_file(self, descriptor, offset, count):
        """Send ``count`` bytes of an open file, from ``offset`` on."""
        end = offset + count
        while offset < end and isinstance(self.socket, ssl.SSLSocket):
            data = os.pread(descriptor, min(BUFFER, end - offset), offset)
            if not data:
                raise PeerGone('the file is shorter than it was')
            self.send(data)
            offset += len(data)
        while offset < end:
            try:
                sent = os.sendfile(
                    self.socket.fileno(), descriptor, offset, end - offset
                )
            except OSError as error:
                raise PeerGone(str(error)) from error
            if not sent:
                raise PeerGone('the file is shorter than it was')
            offset += sent

    def say_goodbye(self):
        """End TLS as both sides agreed to, where there is TLS."""
        if isinstance(self.socket, ssl.SSLSocket):
            try:
                self.socket = self.socket.unwrap()
            except OSError:
                pass  # The other side did not wait for it.

    def interrupt(self):
        """Wake whoever waits on the connection, from another thread."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The other side was faster, or it is closed.

    def reset(self):
        """End the connection as a host does that knows nothing of it."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)
        )
        self.socket.close()

    def close(self):
        """End the connection, without any goodbye of the protocol's."""
        self.interrupt()
        self.socket.close()
