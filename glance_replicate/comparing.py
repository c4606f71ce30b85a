# SPDX-License-Identifier: Apache-2.0

"""Comparing the images of two clouds."""

import dataclasses

from glance_replicate import records

SAME, MISSING, DIFFERENT, EXTRA = 'same', 'missing', 'different', 'extra'
UNFINISHED = 'unfinished'
DATA = 'data'
STORE = 'store '


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """How one image compares.

    :param kind: one of the words above
    :param image: the :class:`Image`, of the source if it is there
    :param fields: names of what differs; ``data`` for the bytes, and
        ``store`` with a name for a store that it has to be in
    :param is_proved: a hash tells whether the bytes are the same
    """

    kind: str
    image: records.Image
    fields: tuple = ()
    is_proved: bool = True


class Index:
    """Finds the images of the target by their originals.

    :param images: all images of the target that the user sees
    """

    def __init__(self, images):
        self._by_id = {image.id: image for image in images}
        self._copies = {}
        for image in images:
            source = image.source or (image.mark and image.mark.source)
            if source and source != image.id:
                self._copies.setdefault(source, []).append(image)

    def find(self, source):
        """Return the target's :class:`Image` for one of the source, or None.

        The one with the same id comes first, unless it is a different image
        and there is a copy with another id.
        """
        same = self._by_id.get(source.id)
        found = [same] if same else []
        found.extend(self._copies.get(source.id, ()))
        for image in found:
            # Anybody can set that property, so the bytes have to fit too.
            if image.mark or same_data(source, image):
                return image
        for image in found:
            if same_data(source, image) is None:
                return image
        return same

    def others(self, sources):
        """Return the active images that are not copies of these."""
        known = {image.id for image in map(self.find, sources) if image}
        return [
            image for image in self._by_id.values()
            if image.id not in known and image.status == 'active'
        ]


def same_data(source, target):
    """Tell whether the target is active with the bytes of the source.

    :returns: None if they have no hash in common, and their sizes, if known,
        are the same
    """
    if target.status != 'active':
        return False
    if None not in (source.size, target.size) and source.size != target.size:
        return False
    theirs = target.hashes
    for algorithm, value in source.hashes.items():
        if algorithm in theirs:
            return value == theirs[algorithm]
    return None


def compare(sources, everything, index, rules, filters, stores=()):
    """Yield a :class:`Difference` for each image of either side.

    :param sources: what livecopy would copy with these filters
    :param everything: what it would copy without them
    :param index: :class:`Index` of the target
    :param rules: :class:`Rules`
    :param stores: that images have to be in on the target
    """
    for source in sources:
        yield of_image(source, index.find(source), rules, stores)
    for image in index.others(everything):
        if filters.meets(image):
            yield Difference(kind=EXTRA, image=image)


def of_image(source, target, rules, stores=()):
    """Return the :class:`Difference` of one image of the source."""
    if target is None:
        return Difference(kind=MISSING, image=source)
    if target.mark is not None:
        return Difference(kind=UNFINISHED, image=source)
    same = same_data(source, target)
    fields = (
        *([DATA] if same is False else []),
        *records.differing(records.wanted(source, rules), target),
        *(STORE + name for name in target.lacks(stores)),
    )
    return Difference(
        kind=DIFFERENT if fields else SAME, image=source, fields=fields,
        is_proved=same is not None,
    )
