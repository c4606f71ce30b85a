# SPDX-License-Identifier: Apache-2.0

"""The least that a copy can cost in Python: read once, hash once, write.

Runs as a process of its own: ``python -m tools.floor SOURCE TARGET...``
prints what it took as JSON, in the terms of ``tools.measure``.
"""

import contextlib
import hashlib
import json
import os
import sys
import time

from tools import measure

CHUNK = 4 * 1024 * 1024


def copy(source, targets):
    """Copy a file to several, 4 MiB at a time; return its sha512."""
    digest = hashlib.sha512()
    buffer = memoryview(bytearray(CHUNK))
    with contextlib.ExitStack() as files:

        def unbuffered(path, mode):
            return files.enter_context(open(path, mode, buffering=0))

        reader = unbuffered(source, 'rb')
        writers = [unbuffered(target, 'wb') for target in targets]
        while count := reader.readinto(buffer):
            chunk = buffer[:count]
            digest.update(chunk)
            for writer in writers:
                writer.write(chunk)
    return digest.hexdigest()


def main():
    """Measure one copy."""
    source, *targets = sys.argv[1:]
    meter = measure.Meter([os.getpid()])
    meter.start()
    start = time.monotonic()
    copy(source, targets)
    wall = time.monotonic() - start
    print(json.dumps({'wall': wall, **meter.stop()}))


if __name__ == '__main__':
    main()
