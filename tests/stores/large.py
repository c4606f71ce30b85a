# SPDX-License-Identifier: Apache-2.0

"""An image whose size needs more than 31 bits; it is one hole."""

import mmap

import glance_store
import pytest

from glance_copy_plugin.transfer import sources

SIZE = 2 ** 31 + 4097
ZEROES = bytes(1024 * 1024)


class Zeroes:
    """Reads it as from a driver."""

    store = 'origin'

    def local_file(self):
        return None

    def read_from(self, offset):
        while offset < SIZE:
            chunk = ZEROES[:SIZE - offset]
            yield chunk
            offset += len(chunk)


class LargeImages:
    """Inherit this too, for one class of each way to write a store."""

    @pytest.fixture
    def large_image(self, tmp_path):
        """Yield the path and the content of the image."""
        path = tmp_path / 'large'
        with open(path, 'wb') as file:
            file.truncate(SIZE)
        with open(path, 'rb') as file, mmap.mmap(
            file.fileno(), 0, access=mmap.ACCESS_READ
        ) as content:
            yield path, content

    def large_source(self, make, path):
        return sources.FileSource(str(path)) if self.local else Zeroes()

    @pytest.mark.long
    def test_an_image_of_more_than_2_gib_arrives(
        self, make, large_image, copy
    ):
        path, content = large_image
        target = make('s1')
        copied = copy([target], [self.large_source(make, path)], content)
        copied.run(patience=300)
        assert copied.errors == {}
        url = copied.stored['s1'].url
        count = 0
        for chunk in glance_store.get(url, 's1')[0]:
            assert chunk.count(0) == len(chunk)
            count += len(chunk)
        assert count == SIZE
