# SPDX-License-Identifier: Apache-2.0

"""The life of a process of the service: its start, its forks and its end."""

import importlib
import os
import threading

from glance import housekeeping
from oslo_config import cfg
from oslo_log import log as logging

from glance_copy_plugin import process_state
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import journal as journal_module
from glance_copy_plugin.ownership import running_copies
from glance_copy_plugin.ownership import watcher
from glance_copy_plugin.ownership import wsgi_servers

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# Below what most servers leave a worker before they kill it; Apache leaves it
# three seconds. A copy that is killed is taken over just as well.
_STOP_SECONDS = 10


@process_state.once
def journal():
    """Return the journal of this host, as this process sees it."""
    staging = (
        CONF[copy_image.GROUP].staging_dir or housekeeping.staging_store_path()
    )
    return journal_module.Journal(
        os.path.join(staging, 'copy-image', 'journal')
    )


class ServiceProcess(process_state.SurvivesFork):
    """Looks after interrupted copies, also in what it forks."""

    def __init__(self):
        self._only_looking = False
        self._serving = False
        self._watcher = None

    def only_look(self):
        """The service is loaded to look at it: nothing is taken over."""
        self._only_looking = True

    def start(self, resume, look=lambda: None):
        """Look after interrupted copies from now on.

        Once in a process, in however many pipelines the filter stands.

        :param resume: called with the journal's lease of each copy that this
            process took over
        :param look: called at each look for such copies
        """
        if self._only_looking or self._watcher is not None:
            return
        self._watcher = watcher.Watcher(
            journal(), resume, CONF[copy_image.GROUP].recovery_interval, look
        )
        wsgi_servers.check_threads()
        os.register_at_fork(
            after_in_parent=self._after_fork_in_parent,
            after_in_child=self._after_fork_in_child,
        )
        _on_exit(suspend_copies)
        wsgi_servers.on_fork(self._after_fork_in_child)
        wsgi_servers.on_stop(suspend_copies)
        if wsgi_servers.runs_requests():
            self._watcher.ensure_running()

    def serve(self):
        """A request has come: this process does not only keep others."""
        self._serving = True
        if self._watcher is not None:
            self._watcher.ensure_running()

    def after_fork(self):
        """No thread of the parent is this process's."""
        if self._watcher is not None:
            self._watcher.after_fork()

    def _after_fork_in_parent(self):
        """Leave all work to the child, if this process keeps workers.

        So does gunicorn with ``preload``: it loads the service, and forks
        from its main thread without ever having served a request.
        """
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and not self._serving:
            self._watcher.pause()

    def _after_fork_in_child(self):
        process_state.begin_anew_if_forked()
        # What a worker forks is a tool of it, and no worker.
        if not self._serving:
            self._watcher.ensure_running()


@process_state.once
def of_this():
    """Return the :class:`ServiceProcess` that this process is."""
    return ServiceProcess()


def suspend_copies():
    """Stop the copies of this process; return when they have stopped.

    What is recorded stays recorded, and the journal keeps the rest.
    """
    if not running_copies.of_process().suspend(_STOP_SECONDS):
        LOG.warning('Some copies did not stop; they are taken over later')


def _on_exit(function):
    """Have ``function()`` called when this process ends."""
    # At the end of a process Python first refuses new work to executors and
    # waits for their threads, and only then runs what was registered with
    # atexit: too late, as a flow needs its executor to come to an end. This
    # is what concurrent.futures itself uses; the last registered runs first,
    # so that its module, which is loaded when first used, has to be there.
    importlib.import_module('concurrent.futures.thread')
    threading._register_atexit(function)
