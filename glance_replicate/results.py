# SPDX-License-Identifier: Apache-2.0

"""What became of each image."""

import dataclasses

COPIED, UPDATED, SAME = 'copied', 'updated', 'same'
VANISHED, FAILED, STOPPED = 'vanished', 'failed', 'not done'
WOULD_COPY, WOULD_UPDATE = 'would copy', 'would update'
ASKED = 'asked for'
BAD = (FAILED, STOPPED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One image and what became of it.

    :param what: one of the words above
    :param copy_id: id of the copy, if it is not that of the image
    :param size: bytes that were moved, or would be
    :param detail: one sentence, where there is something to say
    """

    what: str
    image_id: str
    name: str = ''
    copy_id: str = ''
    size: int = 0
    detail: str = ''

    @property
    def is_good(self):
        return self.what not in BAD


def of(what, image, size=0, detail='', copy=None):
    """Return the :class:`Result` of an image.

    :param image: anything with ``id`` and ``name``
    :param size: in bytes, or None if unknown
    :param copy: the target's :class:`Image`, if there is one
    """
    return Result(
        what=what, image_id=image.id, name=image.name, size=size or 0,
        detail=detail,
        copy_id=copy.id if copy and copy.id != image.id else '',
    )
