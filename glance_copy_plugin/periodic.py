# SPDX-License-Identifier: Apache-2.0

"""Calling a function again and again, in a thread of its own."""

import threading
import traceback

from futurist import periodics
from oslo_log import log as logging

from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)


class Periodic:
    """Calls a function at every interval, until it is stopped.

    What the function raises is logged, and it is called again.

    :param function: called without arguments; may raise
        ``futurist.periodics.NeverAgain`` to be called no more
    :param seconds: from the begin of one call to that of the next
    :param what: says what it does, after "cannot"
    :param first: seconds before the first call
    """

    def __init__(self, function, seconds, *, what, first=0):
        self._what = what
        self._first = first
        self._stopped = threading.Event()
        self._worker = periodics.PeriodicWorker(
            [(self._call_of(function, seconds), (), {})],
            on_failure=self._say,
        )
        self._thread = threading.Thread(
            target=self._run, name=f'copy-image: {what}', daemon=True
        )

    def start(self):
        """Begin; return at once."""
        self._thread.start()

    def stop(self):
        """Call it no more. Safe to call twice, and from the function."""
        self._stopped.set()
        self._worker.stop()

    def join(self):
        """Return when a call that was running when it was stopped is over."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self):
        if not self._stopped.wait(self._first):
            self._worker.start(auto_stop_when_empty=True)

    @staticmethod
    def _call_of(function, seconds):
        @periodics.periodic(seconds, run_immediately=True)
        def call():
            function()

        return call

    def _say(self, _call, _kind, _seconds, exc_info, _text=None):
        error = exc_info[1]
        LOG.error(
            'Cannot %(what)s now: %(why)s',
            {
                'what': self._what,
                'why': errors.redact(f'{type(error).__name__}: {error}'),
            },
        )
        LOG.debug(
            'Where it failed: %s',
            errors.redact(''.join(traceback.format_exception(error))),
        )
