# SPDX-License-Identifier: Apache-2.0

"""How far a command is that reads much: one line on standard error."""

_GIB = 1024 ** 3


class Progress:
    """Rewrites its line on a terminal; elsewhere writes one each 10 %.

    Says nothing unless told how much there is.

    :param stream: text stream, such as ``sys.stderr``
    """

    def __init__(self, stream):
        self._stream = stream
        self._rewrites = stream.isatty()
        self._total = 0
        self._read = 0
        self._shown = -1

    def expect(self, count):
        """So many bytes are to be read in all."""
        self._total = count
        self.advance(0)

    def advance(self, count):
        """So many more bytes have been read."""
        self._read += count
        if not self._total:
            return
        percent = min(100, self._read * 100 // self._total)
        step = percent if self._rewrites else percent - percent % 10
        if step > self._shown:
            self._shown = step
            self._stream.write(
                ('\r' if self._rewrites else '')
                + f'Read {self._read / _GIB:.1f} of '
                f'{self._total / _GIB:.1f} GiB ({percent} %)'
                + ('' if self._rewrites else '\n')
            )
            self._stream.flush()

    def end(self):
        """Nothing more is read."""
        if self._rewrites and self._total:
            self._stream.write('\n')
        self._total = 0
