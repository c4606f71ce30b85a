# SPDX-License-Identifier: Apache-2.0

"""A line between client and server that spoils, cuts or holds what passes."""

import contextlib
import selectors
import socket
import ssl
import threading

_BLOCK = 65536
DOWN, UP = 'down', 'up'


class Proxy:
    """Passes connections on to a server on this machine; a context manager.

    :param port: of the server
    :param way: ``DOWN`` for what the server sends, ``UP`` for what the
        client sends
    :param flip_at: change a byte after each so many
    :param cut_at: end the connection after so many bytes
    :param hold_at: after so many bytes of a connection let nothing more of
        it pass until :meth:`release` is called
    :param times: of so many connections, or of all if None
    :param tls: an SSLContext to meet clients with, or None

    ``passed`` counts the bytes in that way, on all connections; ``held`` is an
    event: a connection is held.
    """

    def __init__(
        self, port, *, way=DOWN, flip_at=None, cut_at=None, hold_at=None,
        times=None, tls=None,
    ):
        self._tls = tls
        self._port = port
        self._way = way
        self._flip_at = flip_at
        self._cut_at = cut_at
        self._hold_at = hold_at
        self._left = times
        self._lock = threading.Lock()
        self._threads = []
        self._ended = threading.Event()
        self._released = threading.Event()
        self.held = threading.Event()
        self.passed = 0
        self.spoiled = 0

    def __enter__(self):
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        scheme = 'https' if self._tls else 'http'
        self.url = f'{scheme}://127.0.0.1:{self.port}'
        self._start(self._listen)
        return self

    def release(self):
        """Let everything pass from now on."""
        self._released.set()

    def __exit__(self, *error):
        self._ended.set()
        self.release()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _listen(self):
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _address = self._listener.accept()
                client.settimeout(None)
                self._start(self._meet, client)

    def _meet(self, client):
        if self._tls:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:
                client.close()  # it does not trust the certificate
                return
        self._serve(client)

    def _serve(self, client):
        # It ends when one side has gone, or the server does not listen.
        with (
            client, contextlib.suppress(OSError),
            socket.create_connection(('127.0.0.1', self._port)) as server,
            selectors.DefaultSelector() as selector,
        ):
            self._pass(client, server, selector)

    def _pass(self, client, server, selector):
        selector.register(client, selectors.EVENT_READ, (server, UP))
        selector.register(server, selectors.EVENT_READ, (client, DOWN))
        count = 0
        while not self._ended.is_set():
            for key, _events in selector.select(0.1):
                other, way = key.data
                data = _receive(key.fileobj)
                if way == self._way:
                    data = self._spoil(data, count)
                    count += len(data)
                    self._hold(count)
                if not data:
                    return
                other.sendall(data)

    def _hold(self, count):
        if self._hold_at is not None and count >= self._hold_at:
            self.held.set()
            self._released.wait()

    def _spoil(self, data, count):
        with self._lock:
            self.passed += len(data)
            for at in (self._flip_at, self._cut_at):
                if at is None or self._left == 0:
                    continue
                place = at - 1 - count % at
                if place >= len(data):
                    continue
                if self._left is not None:
                    self._left -= 1
                self.spoiled += 1
                if at == self._cut_at:
                    return b''
                flipped = bytes([data[place] ^ 1])
                data = data[:place] + flipped + data[place + 1:]
            return data


def _receive(peer):
    """Return what has come, with what TLS has read ahead."""
    data = peer.recv(_BLOCK)
    while data and isinstance(peer, ssl.SSLSocket) and peer.pending():
        data += peer.recv(_BLOCK)
    return data
