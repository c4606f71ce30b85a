# SPDX-License-Identifier: Apache-2.0

"""Places at which a test can have the process killed, or paused.

Only the environment of the process enables it, so no request and no
configuration can: ``GLANCE_COPY_PLUGIN_KILL_FILE`` names a file. While that
file holds ``name:3``, the process that comes to the place ``name`` for the
third time removes the file and kills itself (SIGKILL, as the kernel does when
memory runs out). ``name:3:stop`` pauses it instead (SIGSTOP), until somebody
lets it go on.
"""

import collections
import os
import signal
import threading

_SEEN = collections.Counter()
_LOCK = threading.Lock()
# In which all threads have stopped.
_AT_MOST_SECONDS = 0.5


def enabled():
    """Return the name of the file, or None."""
    return os.environ.get('GLANCE_COPY_PLUGIN_KILL_FILE')


def point(name):
    """The code has come to the place ``name``."""
    path = enabled()
    if path is None:
        return
    try:
        with open(path, encoding='ascii') as file:
            order = file.read()
    except FileNotFoundError:
        return
    wanted, _, rest = order.partition(':')
    count, _, action = rest.partition(':')
    if wanted != name:
        return
    with _LOCK:
        _SEEN[order] += 1
        if _SEEN[order] < int(count or 1):
            return
        _SEEN.clear()
        os.unlink(path)
        if action == 'stop':
            os.kill(os.getpid(), signal.SIGSTOP)
            # The signal may reach another thread first, and this one later.
            threading.Event().wait(_AT_MOST_SECONDS)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()
