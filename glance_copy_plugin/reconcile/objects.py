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
        doomed = history.awaits_scrubbing(self._image_id) or ()
        try:
            facts = self._facts()
        except image_record.ImageGone:
            # Glance's scrubber removes it in its time.
            return NAMED if any(map(is_it, doomed)) else ''
        if any(map(is_it, (*doomed, *(each.url for each in facts.locations)))):
            return NAMED
        unproved = '' if fresh else self.why_unproved(facts, facts.locations)
        return unproved and f'it may be the last data of the image: {unproved}'

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
