# SPDX-License-Identifier: Apache-2.0

"""Where an image can be read from."""

import os
import typing


class Source(typing.Protocol):
    """One location of the image that can be read.

    ``store`` is the name of its store.
    """

    store: str

    def local_file(self) -> str | None:
        """Return the path of the local file that holds the bytes, if any.

        MUST return None unless the file's bytes are the object's bytes, at
        the same offsets.
        """

    def read_from(self, offset: int) -> typing.Iterator[bytes]:
        """Yield the bytes from ``offset`` on.

        MUST NOT yield empty chunks, MAY end early (the caller counts), and
        MUST raise on an error that it notices.
        """


def rechunk(chunks, size):
    """Join small chunks to chunks of at least ``size`` bytes (but the last).

    Few drivers yield more than 64 KiB at a time; every hand-over costs.
    """
    held, count = [], 0
    for chunk in chunks:
        held.append(chunk)
        count += len(chunk)
        if count >= size:
            yield held[0] if len(held) == 1 else b''.join(held)
            held, count = [], 0
    if held:
        yield b''.join(held)


class FileSource:
    """A plain local file as a source.

    :param path: path of the file
    :param store: name to give in errors
    """

    def __init__(self, path, store='file'):
        self.path = path
        self.store = store

    def local_file(self):
        return self.path

    def read_from(self, offset):
        with open(self.path, 'rb', buffering=0) as file:
            file.seek(offset, os.SEEK_SET)
            while chunk := file.read(1024 * 1024):
                yield chunk
