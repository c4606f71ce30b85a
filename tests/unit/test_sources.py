# SPDX-License-Identifier: Apache-2.0

import pytest

from glance_copy_plugin.transfer import sources


@pytest.mark.parametrize(('chunks', 'size', 'result'), [
    ([], 4, []),
    ([b'abcd'], 4, [b'abcd']),
    ([b'a', b'b', b'c', b'd', b'e'], 2, [b'ab', b'cd', b'e']),
    ([b'abc', b'abc'], 4, [b'abcabc']),
    ([b'abcdef', b'g'], 4, [b'abcdef', b'g']),
    ([b'a'], 4, [b'a']),
])
def test_small_chunks_are_joined_in_their_order(chunks, size, result):
    assert list(sources.rechunk(chunks, size)) == result


def test_a_big_chunk_is_handed_on_without_copying_it():
    chunk = bytes(1024)
    assert next(sources.rechunk([chunk], 1024)) is chunk


def test_what_was_complete_before_an_error_is_handed_on():
    def broken():
        yield b'abcd'
        raise OSError('gone')

    chunks = sources.rechunk(broken(), 4)
    assert next(chunks) == b'abcd'
    with pytest.raises(OSError, match='gone'):
        next(chunks)


@pytest.mark.parametrize('offset', [0, 1, 5, 6])
def test_a_file_is_read_from_any_offset(tmp_path, offset):
    path = tmp_path / 'file'
    path.write_bytes(b'abcdef')
    source = sources.FileSource(str(path))
    assert b''.join(source.read_from(offset)) == b'abcdef'[offset:]
    assert source.local_file() == str(path)
