# SPDX-License-Identifier: Apache-2.0

"""Doing many things at once, and stopping when the user says so."""

from concurrent import futures
import contextlib
import logging
import signal
import threading

from glance_copy_plugin.transfer import cancel
from glance_replicate import errors
from glance_replicate import results

LOG = logging.getLogger(__name__)
STOPPED = 'stopped; run the same command again to go on'


@contextlib.contextmanager
def stoppable():
    """Yield a :class:`CancelToken` that Ctrl-C and SIGTERM cancel.

    The second signal ends the process at once.
    """
    token = cancel.CancelToken()
    if threading.current_thread() is not threading.main_thread():
        yield token
        return
    before = {}

    def stop(number, _frame):
        for each in before:
            # The next one ends the process, whatever it is waiting for.
            signal.signal(each, signal.SIG_DFL)
        token.cancel(errors.Stopped(STOPPED))

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def each(items, do, *, workers, display, cancel):
    """Call ``do(item)`` for each, several at once; return all results.

    What fails is a result too, so that one odd image ends no run. After a
    stop nothing new begins.

    :param items: images, with ``id`` and ``name``
    :param do: returns a :class:`Result`
    :returns: results in the order of the items
    """
    def one(item):
        try:
            cancel.check()
            result = do(item)
        except errors.Stopped as exc:
            result = _result(results.STOPPED, item, exc)
        except errors.ReplicatorError as exc:
            result = _result(results.FAILED, item, exc)
        except Exception as exc:
            LOG.debug('image %s', item.id, exc_info=True)
            result = _result(results.FAILED, item, (
                f'this tool made an error, {type(exc).__name__}: {exc}; '
                f'--debug shows where'
            ))
        display.end(item.id, result)
        return result

    with futures.ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(one, item) for item in items]
        try:
            _wait(jobs)
        except BaseException:
            # What runs ends at its next chunk; nobody waits for the rest.
            cancel.cancel(errors.Stopped(STOPPED))
            raise
        return [job.result() for job in jobs]


def _wait(jobs):
    """Wait in the main thread, which has to be free for signals."""
    left = set(jobs)
    while left:
        done, left = futures.wait(
            left, timeout=0.5, return_when=futures.FIRST_EXCEPTION
        )
        for job in done:
            job.result()


def _result(what, item, why):
    return results.Result(
        what=what, image_id=item.id, name=item.name, detail=str(why)
    )
