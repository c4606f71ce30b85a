# SPDX-License-Identifier: Apache-2.0

"""Looking at an image some more times after its copy has ended.

What a late save of an older record has broken is put right within seconds,
beside the copies: it holds no thread of Glance's, and a copy's end does not
wait for it. What happens later, or when the process ends before, is left to
``glance-copy audit``.
"""

import functools
import threading
import time

from futurist import periodics
from oslo_log import log as logging

from glance_copy_plugin import periodic
from glance_copy_plugin import process_state
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.backends import registry
from glance_copy_plugin.reconcile import objects as image_objects
from glance_copy_plugin.records import endings
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record
from glance_copy_plugin.transfer import errors

LOG = logging.getLogger(__name__)

# Requests of users take milliseconds, but those that remove data from a
# remote store can take long.
_SECONDS = (2, 10, 60)
# Another process may have to make the whole copy meanwhile.
_LAST_SECONDS = 600
# Between two looks at what is due.
_LOOK_SECONDS = 1


def look_after(record, context):
    """Look at the image of a copy that has just ended, some times later.

    :param record: its :class:`ImageRecord`
    :param context: a request context with admin rights
    """
    look = functools.partial(_put_right, record.ending(), record, context)
    for seconds in _SECONDS:
        _of_process().call(seconds, look)


def discard_later(record, context, store, url):
    """Remove what was written for a copy that another process carries on.

    When that one has ended, it is known whether the image refers to it.

    :param record: its :class:`ImageRecord`
    :param context: a request context with admin rights
    """
    discard = functools.partial(
        _discard_unrecorded, record, context, store, url
    )
    for seconds in (*_SECONDS, _LAST_SECONDS):
        _of_process().call(seconds, discard)


def remove_later(store, unfinished):
    """Remove unfinished objects of a dead process that are locked now.

    The storage may still be making them.

    :param unfinished: :class:`KeptObject` objects
    """
    for kept in unfinished:
        LOG.warning(
            'An unfinished object of image %(image)s in store %(store)s is '
            'locked and is removed later: %(place)s',
            {'image': kept.image_id, 'store': store, 'place': kept.place},
        )
        for seconds in (*_SECONDS, _LAST_SECONDS):
            _of_process().call(seconds, functools.partial(
                _remove_unfinished, store, kept, seconds == _LAST_SECONDS
            ))


class LaterCalls:
    """Calls functions at later moments, in one thread of this process.

    The thread lives while there is something to call.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._due = []
        self._periodic = None

    def call(self, seconds, function):
        """Have ``function()`` called in so many seconds, or soon after."""
        with self._lock:
            self._due.append((time.monotonic() + seconds, function))
            if self._periodic is None:
                self._periodic = periodic.Periodic(
                    self._look, _LOOK_SECONDS, what='look at images again',
                    first=_LOOK_SECONDS,
                )
                self._periodic.start()

    def _look(self):
        now = time.monotonic()
        with self._lock:
            self._due.sort(key=lambda each: each[0])
            due = [each for each in self._due if each[0] <= now]
            del self._due[:len(due)]
        for _moment, function in due:
            try:
                function()
            except Exception as exc:
                LOG.warning(
                    'Cannot look at an image after its copy: %s',
                    errors.redact(exc),
                )
        with self._lock:
            if not self._due:
                self._periodic = None
                raise periodics.NeverAgain


@process_state.once
def _of_process():
    return LaterCalls()


def _put_right(ending, record, context):
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
        and not registry.exists(store, url, context)
    ]
    failed = facts.failed != ending.failed and endings.is_newest(ending)
    if (
        lost or revived or failed or facts.importing
        or not ending.is_told(facts)
    ):
        endings.restore(ending, lost=lost, revived=revived, failed=failed)
        LOG.warning(
            'Corrected image %s: a late update had put back its record from '
            'before its copy ended',
            ending.image_id,
        )


def _discard_unrecorded(record, context, store, url):
    """Remove an object unless somebody works on the image, or needs it."""
    if _is_locked(record) or not registry.exists(store, url, context):
        return
    image = {'image': record.image_id, 'store': store}
    # What was read while the copy ran may have gone bad since.
    why = image_objects.ImageObjects(
        record.image_id, record.facts, context
    ).why_needed(lambda each: each == url)
    # Proving takes long, too.
    if why == image_objects.NAMED or _is_locked(record):
        return
    if why:
        LOG.error(
            'Data of image %(image)s stays behind in store %(store)s, as '
            '%(why)s', {**image, 'why': why},
        )
        return
    LOG.warning(
        'Removing data of image %(image)s from store %(store)s that was '
        'written when another process had its copy already', image,
    )
    drivers.delete(store, url, context)


def _remove_unfinished(store, kept, is_last):
    try:
        registry.remove_object(store, kept.place)
    except Exception as exc:
        if not is_last:
            LOG.debug('Cannot be removed yet: %s', errors.redact(exc))
            return
        LOG.error(
            'An unfinished object of image %(image)s stays in store '
            '%(store)s: %(why)s',
            {
                'image': kept.image_id, 'store': store,
                'why': kept.advice or errors.redact(exc),
            },
        )


def _is_locked(record):
    try:
        return record.facts().lock is not None
    except image_record.ImageGone:
        return False


def _still_there(ending, stores, context):
    """Return (store, URL) of the kept objects that nobody removes."""
    if not stores:
        return []
    doomed = history.awaits_scrubbing(ending.image_id) or ()
    urls = {store: ending.kept[store][0] for store in stores}
    # A user's deletion removes the object first, and then the location.
    return [
        (store, url) for store, url in urls.items()
        if url not in doomed and registry.exists(store, url, context)
    ]
