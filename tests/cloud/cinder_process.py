# SPDX-License-Identifier: Apache-2.0

"""A process that adds or reads an image, and waits in the middle of it."""

import sys

from oslo_concurrency import lockutils

from tests.cloud import cinder_parts
from tests.functional.helpers import MIB


class Waiting:
    """A source whose second half comes when the process is told so."""

    def __init__(self, size):
        self._left = size
        self._half = size // 2
        self._waited = False

    def read(self, size):
        if self._left <= self._half and not self._waited:
            self._waited = True
            wait()
        size = min(size, self._left, MIB)
        self._left -= size
        return bytes(size)


def wait():
    """Say that the work has begun; return when it may go on."""
    print('begun', flush=True)
    sys.stdin.readline()


def main(path, verb, store, what, size='16'):
    """Do what the command line says."""
    lockutils.set_defaults(f'{path}.locks')
    stores = cinder_parts.Stores.of_file(path)
    if verb == 'add':
        size = int(size) * MIB
        stores[store].add(
            what, Waiting(size), size, 'sha512', context=stores.context
        )
        return
    chunks = stores.get(store, what)
    next(chunks)
    wait()
    for _ in chunks:
        """All of it is to be read."""


if __name__ == '__main__':
    main(*sys.argv[1:])
