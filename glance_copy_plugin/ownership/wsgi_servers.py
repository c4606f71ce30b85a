# SPDX-License-Identifier: Apache-2.0

"""What servers of WSGI applications do in a way of their own.

uWSGI is one: it forks in C, so that Python's hooks for a fork need not run,
and its main thread never ends in Python.
"""

from oslo_log import log as logging

try:
    import uwsgi
except ImportError:
    uwsgi = None

LOG = logging.getLogger(__name__)


def check_threads():
    """Say so if the server does not let Python's threads run."""
    if uwsgi is not None and not uwsgi.has_threads:
        LOG.warning(
            'uWSGI runs no threads of Python: images are not copied and '
            'interrupted copies are not taken over. Set enable-threads = true'
        )


def runs_requests():
    """False in a process that only keeps others, as uWSGI's master."""
    return uwsgi is None or uwsgi.worker_id() != 0


def on_fork(function):
    """Have ``function()`` called in each new worker."""
    _append('post_fork_hook', function)


def on_stop(function):
    """Have ``function()`` called when a worker is about to stop."""
    _append('atexit', function)


def _append(hook, function):
    if uwsgi is None:
        return
    before = getattr(uwsgi, hook, None)

    def both():
        function()
        if before is not None:
            before()

    setattr(uwsgi, hook, both)
