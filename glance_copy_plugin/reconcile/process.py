# SPDX-License-Identifier: Apache-2.0

"""The journal and the watcher of this process."""

import functools
import os
import threading

from glance import housekeeping
from oslo_config import cfg

from glance_copy_plugin.flow import run
from glance_copy_plugin.options import copy_image
from glance_copy_plugin.ownership import journal as journal_
from glance_copy_plugin.reconcile import shutdown
from glance_copy_plugin.reconcile import watcher as watcher_
from glance_copy_plugin.reconcile import wsgi_servers

CONF = cfg.CONF

_ONLY_LOOKING = threading.Event()
_SERVING = threading.Event()


@functools.cache
def journal():
    """Return the journal of this host, as this process sees it."""
    staging = (
        CONF[copy_image.GROUP].staging_dir or housekeeping.staging_store_path()
    )
    return journal_.Journal(os.path.join(staging, 'copy-image', 'journal'))


class _Told:
    """What :func:`start` was told to do."""

    resume = None
    look = None


@functools.cache
def watcher():
    """Return the watcher of this process, which has been started."""
    return watcher_.Watcher(
        journal(), _Told.resume, CONF[copy_image.GROUP].recovery_interval,
        _Told.look,
    )


def only_look():
    """This process loads the service to look at it: it takes nothing over."""
    _ONLY_LOOKING.set()


def serve():
    """A request has come: this process does not only keep others."""
    if not _SERVING.is_set():
        _SERVING.set()
    watcher().ensure_running()


@functools.cache
def start(resume, look=lambda: None):
    """Look after interrupted copies from now on, also after a fork.

    Once in a process, in however many pipelines the filter stands.

    :param resume: called with the journal's entry of each copy that this
        process took over
    :param look: called at each look for such copies
    """
    if _ONLY_LOOKING.is_set():
        return
    _Told.resume, _Told.look = resume, look
    wsgi_servers.check_threads()
    os.register_at_fork(
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
    shutdown.hook()
    wsgi_servers.on_fork(_after_fork_in_child)
    wsgi_servers.on_stop(shutdown.suspend_copies)
    if wsgi_servers.runs_requests():
        watcher().ensure_running()


def _after_fork_in_parent():
    """Leave all work to the child, if this process keeps workers.

    So does gunicorn with ``preload``: it loads the service, and forks from
    its main thread without ever having served a request.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and not _SERVING.is_set():
        watcher().pause()


def _after_fork_in_child():
    """Begin anew: no thread, copy or lock of the parent is ours."""
    if watcher().running:
        # Both Python and the server have a hook, and both may be called.
        return
    run.forget_all()
    journal().forget()
    watcher().forget()
    # What a worker forks is a tool of it, and no worker.
    if not _SERVING.is_set():
        watcher().ensure_running()
