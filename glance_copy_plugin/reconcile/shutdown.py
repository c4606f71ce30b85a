# SPDX-License-Identifier: Apache-2.0

"""An orderly stop of this process: running copies are left to the next one."""

import importlib
import threading

from oslo_log import log as logging

from glance_copy_plugin.flow import run

LOG = logging.getLogger(__name__)

# Below what most servers leave a worker before they kill it; Apache leaves it
# three seconds. A copy that is killed is taken over just as well.
_WAIT_SECONDS = 10
_STOPPING = threading.Event()


def noticed():
    """True once this process is being stopped."""
    return _STOPPING.is_set() or not threading.main_thread().is_alive()


def suspend_copies():
    """Stop the copies of this process; return when they have stopped.

    What is recorded stays recorded, and the journal keeps the rest.
    """
    _STOPPING.set()
    if not run.suspend_all(_WAIT_SECONDS):
        LOG.warning('Some copies did not stop; they are taken over later')


def hook():
    """Have :func:`suspend_copies` called when this process is stopped."""
    # At the end of a process Python first refuses new work to executors and
    # waits for their threads, and only then runs what was registered with
    # atexit: too late, as a flow needs its executor to come to an end. This
    # is what concurrent.futures itself uses; the last registered runs first,
    # so that its module, which is loaded when first used, has to be there.
    importlib.import_module('concurrent.futures.thread')
    register = getattr(threading, '_register_atexit', None)
    if register is not None:
        register(suspend_copies)
