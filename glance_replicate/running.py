# SPDX-License-Identifier: Apache-2.0

"""Working on many images at once, and stopping when the user says so."""

from concurrent import futures
import contextlib
import logging
import signal
import threading

from glance_copy_plugin.transfer import cancel_token
from glance_replicate import errors
from glance_replicate import results

LOG = logging.getLogger(__name__)
STOPPED = 'stopped; run the same command again to go on'


@contextlib.contextmanager
def stoppable():
    """Yield a :class:`CancelToken` that SIGINT and SIGTERM cancel.

    A second signal ends the process at once.
    """
    token = cancel_token.CancelToken()
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

    A failure is a result too, so that one odd image does not end the run.
    After a stop nothing new begins.

    :param items: images, with ``id`` and ``name``
    :param do: returns a :class:`Result`
    :param workers: how many at once
    :param display: :class:`Display`
    :param cancel: :class:`CancelToken`
    :returns: results in the order of the items
    """
    def one(item):
        try:
            cancel.check()
            result = do(item)
        except errors.Stopped as exc:
            result = results.of(results.STOPPED, item, detail=str(exc))
        except errors.ReplicatorError as exc:
            result = results.of(results.FAILED, item, detail=str(exc))
        except Exception as exc:
            LOG.debug('Unexpected error, image %s', item.id, exc_info=True)
            result = results.of(results.FAILED, item, detail=(
                f'unexpected error, {type(exc).__name__}: {exc}; --debug '
                f'shows where'
            ))
        display.end(item.id, result)
        return result

    with futures.ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(one, item) for item in items]
        try:
            done, _left = futures.wait(
                jobs, return_when=futures.FIRST_EXCEPTION
            )
            for job in done:
                job.result()
        except BaseException:
            # Running ones end at their next chunk; the others never begin.
            cancel.cancel(errors.Stopped(STOPPED))
            raise
        return [job.result() for job in jobs]
