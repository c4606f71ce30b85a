# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
