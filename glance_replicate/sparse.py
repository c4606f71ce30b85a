# SPDX-License-Identifier: Apache-2.0

"""Writing a file with a hole wherever its bytes are zeroes."""

import itertools

_BLOCK = 4096  # a file system keeps no smaller holes
_ZEROES = bytes(_BLOCK)


class SparseWriter:
    """Writes bytes one after the other into a file that is empty.

    :param stream: the file, open for writing without a buffer
    """

    def __init__(self, stream):
        self._stream = stream
        self._position = 0

    def write(self, chunk):
        """Write all of these bytes, or raise OSError."""
        for is_hole, pieces in itertools.groupby(self._cut(chunk), _is_empty):
            run = b''.join(pieces)
            if not is_hole:
                self._stream.seek(self._position)
                view = memoryview(run)
                while view:
                    view = view[self._stream.write(view):]
            self._position += len(run)

    def end(self):
        """Let the file be as long as what was written."""
        self._stream.truncate(self._position)

    def _cut(self, chunk):
        """Yield the blocks of the file that the bytes belong to."""
        begin, end = 0, _BLOCK - self._position % _BLOCK
        while begin < len(chunk):
            yield chunk[begin:end]
            begin, end = end, end + _BLOCK


def _is_empty(block):
    return block == _ZEROES[:len(block)]
