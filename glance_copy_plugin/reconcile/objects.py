# SPDX-License-Identifier: Apache-2.0

"""Does nobody need this object? The one answer, for whoever removes data.

Its first rule: bytes that may be the last ones of an image are never removed.
"""

import threading

from glance_copy_plugin.backends import drivers
from glance_copy_plugin.reconcile import verification
from glance_copy_plugin.records import history
from glance_copy_plugin.records import image_record

NAMED = 'a location names it'


class ImageObjects:
    """The objects of one image, in whatever store.

    Whoever removes one MUST hold the image's lease, and check it right
    before.

    :param image_id: id of the image
    :param facts: returns the :class:`ImageFacts` as they are now, or raises
        :class:`ImageGone`
    :param context: a request context with admin rights
    """

    def __init__(self, image_id, facts, context):
        self._image_id = image_id
        self._facts = facts
        self._context = context
        self._proving = threading.Lock()
        self._unproved = {}

    def why_needed(self, is_it, fresh=False):
        """Say why an object has to stay.

        :param is_it: tells for a URL whether it means the object
        :param fresh: whoever asks has just written it, from other data
        :returns: an empty string if nobody needs it
        """
        facts = self._facts_unless_gone()
        if self._is_named(facts, is_it):
            return NAMED
        if fresh or facts is None:
            return ''
        unproved = self.why_unproved(facts, facts.locations)
        if unproved:
            return f'it may be the last data of the image: {unproved}'
        # Reading takes long, and it may have been recorded meanwhile.
        return NAMED if self._is_named(
            self._facts_unless_gone(), is_it
        ) else ''

    def why_unproved(self, facts, locations):
        """Read data of the image, once; say why none of it is right.

        :param facts: :class:`ImageFacts`
        :param locations: :class:`RecordedLocation` objects to read
        :returns: an empty string if the data of one was read and is the image
        """
        urls = tuple(each.url for each in locations)
        with self._proving:
            if urls not in self._unproved:
                self._unproved[urls] = verification.why_none_is_right(
                    drivers.readable(locations), facts.expected(facts.size),
                    self._context,
                )
            return self._unproved[urls]

    def _facts_unless_gone(self):
        try:
            return self._facts()
        except image_record.ImageGone:
            return None

    def _is_named(self, facts, is_it):
        # Glance's scrubber removes what waits for it in its time.
        doomed = history.awaits_scrubbing(self._image_id) or ()
        named = [each.url for each in facts.locations] if facts else ()
        return any(map(is_it, (*doomed, *named)))
