# SPDX-License-Identifier: Apache-2.0

"""Waiting for storage, which may not answer, and trying it again."""

import threading
import time

import tenacity

from glance_copy_plugin.transfer import cancel_token
from glance_copy_plugin.transfer import errors

# How long a call that is to stop may take to notice, and to tidy up.
_GRACE_SECONDS = 1.0
# How much later than its limit a silence may be noticed.
_LOOK_SECONDS = 0.5
_LONGEST_PAUSE = 30


class IdleTimer:
    """Measures for how long the other side has owed an answer.

    Safe to use from any thread; the last call counts.
    """

    def __init__(self, *, clock=time.monotonic):
        self._clock = clock
        self._since = None

    def asked(self):
        """The other side has to do something from now on."""
        self._since = self._clock()

    def answered(self):
        """It is our turn now, or somebody else's."""
        self._since = None

    @property
    def seconds(self):
        """How long the other side has owed an answer."""
        since = self._since
        return 0.0 if since is None else self._clock() - since


class GaveUp(errors.CopyError):
    """The other side owes an answer for too long. Its thread lives on."""


class TimedCall:
    """A call to storage in a thread of its own, which can be given up.

    No thread can be stopped that waits for a dead server in the kernel or in
    a library. It is left behind, told to stop by its own token, and what it
    comes back with is handed to ``on_late``.

    :param function: called as ``function(token)`` with a
        :class:`CancelToken` that is cancelled with ``cancel``, and when the
        call is given up
    :param idle: :class:`IdleTimer` of the other side
    :param limit: the longest silence in seconds
    :param cancel: the copy's :class:`CancelToken`
    :param on_late: called, in the thread that was left behind and when that
        ends, with what the function returned, or None if it raised
    """

    def __init__(self, function, *, name, idle, limit, cancel, on_late):
        self._function = function
        self._idle = idle
        self._limit = limit
        self._cancel = cancel
        self._on_late = on_late
        self._token = cancel_token.CancelToken()
        self._changed = threading.Condition()
        self._result = None
        self._error = None
        self._ended = False
        self.left_behind = False
        self._thread = threading.Thread(
            target=self._run, name=name, daemon=True
        )

    def result(self):
        """Make the call; return or raise what it does.

        :raises GaveUp: after a silence of more than the limit
        :raises: the reason for cancelling, if it did not stop by itself
        """
        self._cancel.on_cancel(self._stop)
        self._thread.start()
        try:
            self._wait()
        except GaveUp as exc:
            self._token.cancel(exc)
            raise
        if self._error is not None:
            raise self._error
        return self._result

    def _wait(self):
        with self._changed:
            while not self._ended:
                if self._cancel.cancelled:
                    self._changed.wait_for(
                        lambda: self._ended, _GRACE_SECONDS
                    )
                    if not self._ended:
                        self.left_behind = True
                        raise self._cancel.error
                    return
                silent = self._idle.seconds
                if silent > self._limit:
                    self.left_behind = True
                    raise GaveUp(
                        f'has not answered for {silent:.0f} seconds'
                    )
                self._changed.wait(
                    min(_LOOK_SECONDS, max(0.01, self._limit - silent))
                )

    def _run(self):
        try:
            self._result = self._function(self._token)
        except BaseException as exc:
            self._error = exc
        with self._changed:
            self._ended = True
            late = self.left_behind
            self._changed.notify_all()
        if late:
            self._on_late(self._result)

    def _stop(self):
        self._token.cancel(self._cancel.error)
        with self._changed:
            self._changed.notify_all()


def tried_again(function, *, tries, first_pause, pause, worth_it, on_retry):
    """Call ``function()`` again while its error is worth it.

    :param tries: the most further calls
    :param first_pause: seconds before the first of them; each further pause
        is twice as long, up to 30 seconds, and up to half as long again, so
        that copies that failed together do not come back together
    :param pause: called with seconds; sleeps, or raises to end it all
    :param worth_it: called with the exception
    :param on_retry: called with the exception, before the pause
    :raises: the last exception
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(worth_it),
        stop=tenacity.stop_after_attempt(tries + 1),
        wait=(
            tenacity.wait_exponential(first_pause, max=_LONGEST_PAUSE)
            + tenacity.wait_random(0, first_pause / 2)
        ),
        sleep=pause,
        before_sleep=lambda state: on_retry(state.outcome.exception()),
        reraise=True,
    )(function)
