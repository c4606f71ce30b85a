# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
