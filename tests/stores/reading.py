# SPDX-License-Identifier: Apache-2.0

"""What a store has to do with an image that it holds."""

import threading

import glance_store
from glance_store import capabilities
from glance_store import exceptions
import pytest

from glance_copy_plugin import stores
from glance_copy_plugin.copiers import base
from glance_copy_plugin.transfer import errors
from tests.parts import data
from tests.parts import threads

CAN = capabilities.BitMasks
MIB = 1024 * 1024
KEPT = data.some(2 * MIB + 3)
OTHERS = [f'{digit}1c675ab-d94f-49cd-a114-e12490b328d9' for digit in '1234']


def read(target, url, **part):
    """Return a part of an object, as its driver reads it."""
    chunks, _size = glance_store.get(url, target.name, **part)
    return b''.join(chunks)


class ReadingConformance:
    """Inherited by all that inherit the conformance suite."""

    def keep(self, make, source, copy, needed=None):
        """Copy an image; return its store and its URL.

        :param needed: skip unless the store's driver can do this
        """
        target = make('s1')
        if needed and not stores.driver('s1').is_capable(needed):
            pytest.skip(f'its driver cannot do {needed.name}')
        copied = copy([target], [source(KEPT)], KEPT)
        self.succeed(copied, target, content=KEPT)
        return target, copied.stored['s1'].url

    @pytest.mark.parametrize(('offset', 'length'), [
        (0, 1), (MIB - 1, 2), (MIB, MIB), (2 * MIB, 3), (2 * MIB + 2, 1),
    ])
    def test_a_part_of_it_is_read(
        self, make, source, copy, offset, length
    ):
        target, url = self.keep(make, source, copy, CAN.READ_RANDOM)
        assert read(
            target, url, offset=offset, chunk_size=length
        ) == KEPT[offset:offset + length]

    def test_it_is_read_from_an_offset_to_its_end(
        self, make, source, copy
    ):
        target, url = self.keep(make, source, copy, CAN.READ_OFFSET)
        assert read(target, url, offset=MIB + 1) == KEPT[MIB + 1:]

    def test_its_size_is_known(self, make, source, copy):
        target, url = self.keep(make, source, copy)
        size = glance_store.get_size_from_uri_and_backend(url, target.name)
        assert size == len(KEPT)

    def test_it_is_deleted_once(self, make, source, copy):
        target, url = self.keep(make, source, copy)
        stores.delete('s1', url, None)
        assert target.objects() == []
        target.wait_gone()
        with pytest.raises(exceptions.NotFound):
            glance_store.delete(url, 's1')
        with pytest.raises(exceptions.NotFound):
            target.read(url)

    def test_another_copy_does_not_replace_one_that_is_in_use(
        self, make, source, copy
    ):
        target, url = self.keep(make, source, copy)
        location = base.Location(
            store='s1', driver=stores.driver('s1'), url=url
        )
        error = self.fail(
            copy([target], [source(KEPT, 'again')], KEPT,
                 locations=[location]),
            target,
        )
        assert isinstance(error, errors.TargetError)
        assert target.read(url) == KEPT

    def test_several_readers_get_the_whole_image(self, make, source, copy):
        target, url = self.keep(make, source, copy)
        together = threading.Barrier(4)

        def read_slowly():
            chunks, _size = glance_store.get(url, 's1')
            together.wait(30)
            return b''.join(chunks)

        reading = [threads.Running(read_slowly) for _ in range(4)]
        for each in reading:
            assert each.result() == KEPT

    def test_several_images_are_written_while_one_is_read(
        self, make, source, copy
    ):
        target, url = self.keep(make, source, copy)
        contents = {
            image_id: data.flipped(KEPT, number)
            for number, image_id in enumerate(OTHERS)
        }
        writing = [
            copy(
                [target], [source(content, f'origin-{image_id[0]}')], content,
                image_id=image_id,
            )
            for image_id, content in contents.items()
        ]
        running = [threads.Running(each.run) for each in writing]
        for _ in range(4):
            assert target.read(url) == KEPT
        for each in running:
            each.result()
        for each in writing:
            assert each.errors == {}
            stored = each.stored['s1'].url
            assert target.read(stored) == contents[each.image_id]
        assert len(target.objects()) == 1 + len(OTHERS)
