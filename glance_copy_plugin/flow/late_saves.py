# SPDX-License-Identifier: Apache-2.0

"""Looking at an image some more times after its copy has ended.

What a late save of an older record has broken is put right within seconds,
beside the copies: it holds no thread of Glance's, and a copy's end does not
wait for it. What happens later, or when the process ends before, is left to
``glance-copy audit``.
"""

import functools
import heapq
import itertools
import os
import threading
import time

from oslo_log import log as logging

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.records import ending as ending_
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image as image_record
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

# Requests of users take milliseconds, but those that remove data from a
# remote store can take long.
_SECONDS = (2, 10, 60)
# Another process may have to make the whole copy meanwhile.
_LAST_SECONDS = 600


def look_after(run):
    """Look at the image of a copy that has just ended, some times later."""
    look = functools.partial(
        _settle, run.record.ending(), run.record, run.context
    )
    for seconds in _SECONDS:
        _LATER.call(seconds, look)


def discard_later(run, store, url):
    """Remove what was written for a copy that another process carries on.

    When that one has ended, it is known whether the image refers to it.
    """
    discard = functools.partial(_discard_unrecorded, run, store, url)
    for seconds in (*_SECONDS, _LAST_SECONDS):
        _LATER.call(seconds, discard)


class Later:
    """Calls functions at later moments in one thread of this process.

    The thread lives while there is something to call.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._due = []
        self._numbers = itertools.count()
        self._pid = None

    def call(self, seconds, function):
        """Have ``function()`` called in so many seconds."""
        with self._changed:
            moment = time.monotonic() + seconds
            heapq.heappush(self._due, (moment, next(self._numbers), function))
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(
                    target=self._run, name='copy-image-settling', daemon=True
                ).start()
            self._changed.notify()

    def _run(self):
        while (function := self._next()) is not None:
            try:
                function()
            except Exception as exc:
                LOG.warning(
                    'An image was not looked at after its copy: %s',
                    errors.redact(exc),
                )

    def _next(self):
        """Wait until something is due; return it, or None at the end."""
        with self._changed:
            while self._due:
                left = self._due[0][0] - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._due)[-1]
                self._changed.wait(left)
            self._pid = None
            return None


_LATER = Later()


def _settle(ending, record, context):
    """Look at the image once; put right what is not as the copy left it."""
    try:
        facts = record.facts()
    except image_record.ImageGone:
        for store, url in _still_there(ending, ending.kept, context):
            LOG.warning(
                'Image %(image)s was deleted while its copy ended; removing '
                'its data from store %(store)s',
                {'image': ending.image_id, 'store': store},
            )
            drivers.delete(store, url, context)
        return
    if facts.lock is not None:
        return
    recorded = {location.store: location.url for location in facts.locations}
    dropped = ending.kept.keys() - recorded.keys()
    lost = [store for store, _ in _still_there(ending, dropped, context)]
    revived = [
        store for store, url in ending.taken_back.items()
        if recorded.get(store) == url
        and not drivers.exists(store, url, context)
    ]
    failed = facts.failed != ending.failed and ending_.is_newest(ending)
    if (
        lost or revived or failed or facts.importing
        or not ending.is_told(facts)
    ):
        ending_.restore(ending, lost=lost, revived=revived, failed=failed)
        LOG.warning(
            'A late update of image %s had put back what was recorded before '
            'its copy ended; corrected', ending.image_id,
        )


def _discard_unrecorded(run, store, url):
    """Remove an object unless somebody works on the image, or needs it."""
    recorded = history.awaits_scrubbing(run.image_id) or set()
    try:
        facts = run.record.facts()
    except image_record.ImageGone:
        LOG.debug('Image %s is gone', run.image_id)
    else:
        if facts.lock is not None:
            return
        recorded |= {location.url for location in facts.locations}
    if url in recorded or not drivers.exists(store, url, run.context):
        return
    if unsafe := run.not_safe():
        LOG.error(
            'Data of image %(image)s stays behind in store %(store)s, as it '
            'may be the last of it: %(why)s',
            {'image': run.image_id, 'store': store, 'why': unsafe},
        )
    else:
        LOG.warning(
            'Removing data of image %(image)s from store %(store)s that was '
            'written when another process had its copy already',
            {'image': run.image_id, 'store': store},
        )
        drivers.delete(store, url, run.context)


def _still_there(ending, stores, context):
    """Return (store, URL) of the kept objects that nobody removes."""
    if not stores:
        return []
    doomed = history.awaits_scrubbing(ending.image_id) or ()
    urls = {store: ending.kept[store][0] for store in stores}
    # A user's deletion removes the object first, and then the location.
    return [
        (store, url) for store, url in urls.items()
        if url not in doomed and drivers.exists(store, url, context)
    ]
