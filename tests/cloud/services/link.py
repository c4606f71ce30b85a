# SPDX-License-Identifier: Apache-2.0

"""A slow link to a network namespace, in user space.

``python -m tests.cloud.services.link NUMBER SECONDS`` makes it and removes it
at SIGTERM. Whatever is sent, in either direction, arrives so many seconds
later. No module of the kernel is needed but tun.
"""

import collections
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from tests.cloud.services import errors
from tests.cloud.services import place

# For ``ioctl``: this descriptor is an interface that carries IP packets.
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Large packets cost little; so many fit into what is on its way.
_MTU, _PACKETS = 65000, 20000
_NOBODY_LISTENS = 9  # a port
_PATIENCE = 30  # seconds


class Link:
    """A link from this machine to a namespace of its own.

    :param processes: ``Processes``
    :param delay: seconds of one way
    """

    def __init__(self, processes, delay):
        self._processes = processes
        self._place = processes.place
        self._delay = delay

    @property
    def address(self):
        """The other end's."""
        return _addresses(self._place.number)[1]

    def up(self):
        """Start it unless it runs; return once the other end answers."""
        if not os.path.exists('/dev/net/tun'):
            raise errors.Unavailable('this machine has no /dev/net/tun')
        self._processes.start('link', [
            sys.executable, '-m', __name__, self._place.number, self._delay,
        ], folder=place.ROOT)
        self._processes.wait('link', self.round_trip)

    def round_trip(self):
        """Return how many seconds a packet and its answer take, or None."""
        here, there = _addresses(self._place.number)
        start = time.monotonic()
        try:
            socket.create_connection(
                (there, _NOBODY_LISTENS), _PATIENCE, source_address=(here, 0)
            ).close()
        except ConnectionRefusedError:
            return time.monotonic() - start
        except OSError:
            return None
        raise errors.CloudError('somebody listens at the end of the link')

    def inside(self):
        """Return the words that run a program at the other end."""
        return ('ip', 'netns', 'exec', _namespace(self._place.number))


def _namespace(number):
    return f'glance-copy-{number}'


def _addresses(number):
    """Return ours, and that in the namespace."""
    return f'10.77.{number}.1', f'10.77.{number}.2'


def _run(*words):
    subprocess.run(words, check=True)


def _interface(name):
    descriptor = os.open('/dev/net/tun', os.O_RDWR)
    request = struct.pack('16sH22x', name.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    return descriptor


def _make(number):
    """Make a namespace and both ends; return their descriptors."""
    namespace = _namespace(number)
    ends = []
    for end, address in enumerate(_addresses(number)):
        name = f'gcp-link-{number}{"ab"[end]}'
        ends.append(_interface(name))
        ip = ('ip',)
        if end:
            _run('ip', 'netns', 'add', namespace)
            _run('ip', 'link', 'set', name, 'netns', namespace)
            ip = ('ip', '-n', namespace)
            _run(*ip, 'link', 'set', 'lo', 'up')
        _run(*ip, 'link', 'set', name, 'mtu', str(_MTU), 'txqueuelen',
             str(_PACKETS), 'up')
        # Not before: packets to it would take another way.
        _run(*ip, 'addr', 'add', f'{address}/30', 'dev', name)
    return ends


def _remove(number):
    # There is none, or what a killed one has left.
    subprocess.run(
        ['ip', 'netns', 'del', _namespace(number)], capture_output=True,
        check=False,
    )


def _carry(source, target, delay):
    """Pass packets on, each so many seconds after it came."""
    packets, some = collections.deque(), threading.Condition()

    def take():
        while True:
            packet = os.read(source, _MTU + 1000)
            with some:
                packets.append((time.monotonic() + delay, packet))
                some.notify()

    def give():
        while True:
            with some:
                some.wait_for(lambda: packets)
                due, packet = packets.popleft()
            time.sleep(max(0, due - time.monotonic()))
            # The other end is not up yet, or no longer.
            with contextlib.suppress(OSError):
                os.write(target, packet)

    for work in (take, give):
        threading.Thread(target=work, daemon=True).start()


def main(number, delay):
    """Carry packets until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _remove(number)
    try:
        here, there = _make(number)
        _carry(here, there, delay)
        _carry(there, here, delay)
        signal.pause()
    finally:
        _remove(number)


if __name__ == '__main__':
    main(sys.argv[1], float(sys.argv[2]))
