# SPDX-License-Identifier: Apache-2.0

"""Files with holes where there are zeroes, whatever pieces bytes come in."""

import itertools

from glance_replicate import dump_writing

BLOCK = 4096
PIECES = (
    b'', b'x', b'\0', bytes(BLOCK - 1), bytes(BLOCK), bytes(3 * BLOCK + 1),
    b'y' * BLOCK, b'z' + bytes(2 * BLOCK), bytes(2 * BLOCK) + b'z',
)


def test_a_file_has_the_bytes_that_were_written(tmp_path):
    for number, chosen in enumerate(itertools.permutations(PIECES, 3)):
        assert written(tmp_path / str(number), chosen) == b''.join(chosen)


def written(path, chosen):
    """Write some pieces; return what is in the file then."""
    with open(path, 'wb', buffering=0) as stream:
        writer = dump_writing.SparseWriter(stream)
        for piece in chosen:
            writer.write(piece)
        writer.end()
    return path.read_bytes()


def test_zeroes_take_no_room_though_they_come_in_odd_pieces(tmp_path):
    data = bytes(1000 * BLOCK) + b'x' + bytes(1000 * BLOCK)
    with open(tmp_path / 'x', 'wb', buffering=0) as stream:
        writer = dump_writing.SparseWriter(stream)
        for begin in range(0, len(data), 9999):
            writer.write(data[begin:begin + 9999])
        writer.end()
    found = (tmp_path / 'x').stat()
    assert found.st_size == len(data)
    assert found.st_blocks * 512 <= 4 * BLOCK
