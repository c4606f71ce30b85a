# SPDX-License-Identifier: Apache-2.0

"""What a driver has to do with an image that its store holds."""

import threading

import glance_store
from glance_store import capabilities
from glance_store import exceptions
import pytest

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from tests.parts import data
from tests.parts import threads

CAN = capabilities.BitMasks
MIB = 1024 * 1024
KEPT = data.some(2 * MIB + 3)


def read(target, url, **part):
    """Return a part of an object, as its driver reads it."""
    chunks, _size = glance_store.get(url, target.name, **part)
    return b''.join(chunks)


class ReadingConformance:
    """Inherited by one class for each kind of store: that which streams."""

    @pytest.fixture
    def kept(self, make, source, copy):
        """An image in a store: the store and the URL."""
        return self.keep(make, source, copy, KEPT)

    def skip_unless(self, needed):
        if not drivers.of_store('s1').is_capable(needed):
            pytest.skip(f'its driver cannot do {needed.name}')

    @pytest.mark.parametrize(('offset', 'length'), [
        (0, 1), (MIB - 1, 2), (MIB, MIB), (2 * MIB, 3), (2 * MIB + 2, 1),
    ])
    def test_a_part_of_it_is_read(self, kept, offset, length):
        self.skip_unless(CAN.READ_RANDOM)
        assert read(
            *kept, offset=offset, chunk_size=length
        ) == KEPT[offset:offset + length]

    def test_it_is_read_from_an_offset_to_its_end(self, kept):
        self.skip_unless(CAN.READ_OFFSET)
        assert read(*kept, offset=MIB + 1) == KEPT[MIB + 1:]

    def test_its_size_is_known(self, kept):
        target, url = kept
        assert registry.size_of(target.name, url, None) == len(KEPT)

    def test_it_is_deleted_once(self, kept):
        target, url = kept
        drivers.delete('s1', url, None)
        assert target.objects() == []
        target.wait_gone()
        assert not registry.exists('s1', url, None)
        with pytest.raises(exceptions.NotFound):
            glance_store.delete(url, 's1')
        with pytest.raises(exceptions.NotFound):
            target.read(url)

    def test_several_readers_get_the_whole_image(self, kept):
        _target, url = kept
        together = threading.Barrier(4)

        def read_slowly():
            chunks, _size = glance_store.get(url, 's1')
            together.wait(60)
            return b''.join(chunks)

        reading = [threads.Running(read_slowly) for _ in range(4)]
        for each in reading:
            assert each.result() == KEPT
