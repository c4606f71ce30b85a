# SPDX-License-Identifier: Apache-2.0

"""Two iRODS stores for the demonstration and the benchmark.

Their zone is served by the test double: what it costs a real server to copy
an object cannot be seen here, only what it saves Glance.
"""

import pathlib

from tests import irods_server
from tests.parts import irods
from tools import images

ARCHIVE, VAULT = 'archive', 'vault'


class Zone:
    """A zone with the collections of two stores; a context manager.

    :param folder: where the objects lie
    """

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self._server = irods_server.IrodsServer(folder)
        self._zone = None

    def __enter__(self):
        self._server.__enter__()
        self._zone = irods.Irods(self._server)
        return self

    def __exit__(self, *error):
        return self._server.__exit__(*error)

    @property
    def backends(self):
        """The stores, as GlanceServer takes them."""
        return {ARCHIVE: 'irods', VAULT: 'irods'}

    @property
    def settings(self):
        """Their options, as GlanceServer takes them."""
        return {
            store: {
                f'irods_store_{name}': value
                for name, value in {
                    **self._zone.options(),
                    'path': self._zone.add_collection(store),
                    'chunk_size': 4 * images.MIB,
                }.items()
            }
            for store in (ARCHIVE, VAULT)
        }

    def file_of(self, url):
        """Return the file that the zone keeps an object in."""
        path = url.removeprefix('irods:/')
        return pathlib.Path(self._server.replica(path).path)

    def file_in(self, store, image_id):
        """Return the file that the zone keeps an image of a store in."""
        path = f'{self._zone.add_collection(store)}/{image_id}'
        return pathlib.Path(self._server.replica(path).path)

    @property
    def passed(self):
        """Bytes of images that clients have read and written so far."""
        return self._server.bytes_read + self._server.bytes_written
