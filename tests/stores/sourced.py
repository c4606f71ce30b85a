# SPDX-License-Identifier: Apache-2.0

"""What can be the matter with a source, however the image is written.

The staging has to notice it, whatever the store is. So this is inherited
once for each way to write, and not for each kind of store.
"""

import pytest

from glance_copy_plugin.transfer import digests
from glance_copy_plugin.transfer import errors
from tests.parts import data
from tests.parts.sources import Stream
from tests.stores import copies
from tests.stores.copies import CHUNK
from tests.stores.copies import IMAGE
from tests.stores.copies import WINDOW

SIZES = [
    0, 1, 4095, CHUNK - 1, CHUNK, CHUNK + 1,
    # Segments of a window are a quarter of it.
    WINDOW // 4 * 3, WINDOW - 1, WINDOW, WINDOW + 1,
    5 * CHUNK, 5 * CHUNK + 3,
]
WRONG = {
    'without its last byte': IMAGE[:-1],
    'without its last chunk': IMAGE[:-CHUNK],
    'ending silently at once': b'',
    'longer by a byte': IMAGE + b'x',
    'longer by a chunk': IMAGE + bytes(CHUNK),
    'with its first bit flipped': data.flipped(IMAGE, 0),
    'with its last byte wrong': data.flipped(IMAGE, -1),
    'with other bytes': bytes(len(IMAGE)),
}
BREAKS = [0, 1, CHUNK, 3 * CHUNK + 5]


class SourceConformance(copies.Copying):
    """Inherit this, and say how the image reaches the store."""

    @pytest.mark.parametrize('size', SIZES)
    def test_an_image_of_this_size_is_read(self, make, source, copy, size):
        self.keep(make, source, copy, data.some(size))

    def test_an_image_without_a_digest_arrives(self, make, source, copy):
        target = make('s1')
        self.succeed(
            copy(
                [target], [source(IMAGE)],
                expected=digests.Expected(size=len(IMAGE)),
            ),
            target,
        )

    @pytest.mark.parametrize('breaks_at', BREAKS)
    def test_wherever_a_source_breaks_the_next_completes_it(
        self, make, source, copy, breaks_at
    ):
        target = make('s1')
        self.succeed(
            copy([target], [
                source(IMAGE, 'first', breaks_at=breaks_at),
                Stream(IMAGE, 'second'),
            ]),
            target,
        )

    @pytest.mark.parametrize('breaks_at', BREAKS)
    def test_wherever_the_only_source_breaks_nothing_stays(
        self, make, source, copy, breaks_at
    ):
        target = make('s1')
        error = self.fail(
            copy([target], [source(IMAGE, breaks_at=breaks_at)]), target
        )
        assert isinstance(error, errors.SourceError)
        assert error.store == 'origin'

    @pytest.mark.parametrize('what', list(WRONG))
    def test_whatever_is_wrong_with_an_image_nothing_stays(
        self, make, source, copy, what
    ):
        self.skip_unless_noticed(WRONG[what])
        target = make('s1')
        error = self.fail(copy([target], [source(WRONG[what])]), target)
        assert isinstance(error, errors.SourceError)

    @pytest.mark.parametrize('what', list(WRONG))
    def test_whatever_is_wrong_with_an_image_the_next_source_is_used(
        self, make, source, copy, what
    ):
        self.skip_unless_noticed(WRONG[what])
        targets = [make('s1'), make('s2')]
        self.succeed(
            copy(targets, [
                source(WRONG[what], 'bad'), Stream(IMAGE, 'good'),
            ]),
            *targets,
        )

    def test_a_wrong_image_of_one_byte_leaves_nothing(
        self, make, source, copy
    ):
        self.skip_unless_noticed(b'b', b'a')
        target = make('s1')
        error = self.fail(copy([target], [source(b'b')], b'a'), target)
        assert isinstance(error, errors.SourceMismatch)
