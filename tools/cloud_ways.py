# SPDX-License-Identifier: Apache-2.0

"""What the benchmark with a real OpenStack copies, and where to."""

import dataclasses

from tools import rbd_tool
from tools import rclone_tool

RBD, RCLONE = rbd_tool.WHO, rclone_tool.WHO


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """From a store to others.

    :param says: what the table says
    :param zeroes: half of the image is zeroes
    :param tool: who can do that, too
    """

    says: str
    source: str
    targets: tuple[str, ...]
    zeroes: bool = False
    tool: str | None = None


# {part: the ways}
PARTS = {
    'cinder': (
        Way(says='file -> fast, slow', source='local',
            targets=('fast', 'slow')),
        Way(says='fast -> slow', source='fast', targets=('slow',)),
    ),
    'rbd': (
        Way(says='rbd -> rbd', source='rbd-a', targets=('rbd-b',), tool=RBD),
        Way(says='file -> rbd', source='local', targets=('rbd-a',), tool=RBD),
        Way(says='rbd -> file', source='rbd-a', targets=('copies',),
            tool=RBD),
    ),
    'sites': (
        Way(says='rbd -> edge', source='rbd-a', targets=('edge',), tool=RBD),
        Way(says='rbd, half zeroes -> edge', source='rbd-a',
            targets=('edge',), zeroes=True, tool=RBD),
        Way(says='rbd -> edge, archive', source='rbd-a',
            targets=('edge', 'archive')),
    ),
    'far': (
        Way(says='rbd -> far', source='rbd-a', targets=('far',), tool=RBD),
    ),
    's3': (
        Way(says='s3 -> s3', source='s3-a', targets=('s3-b',), tool=RCLONE),
        Way(says='file -> s3', source='local', targets=('s3-a',),
            tool=RCLONE),
        Way(says='s3 -> file', source='s3-a', targets=('copies',),
            tool=RCLONE),
    ),
    'swift': (
        Way(says='swift -> swift', source='swift-a', targets=('swift-b',),
            tool=RCLONE),
        Way(says='file -> swift', source='local', targets=('swift-a',),
            tool=RCLONE),
        Way(says='swift -> file', source='swift-a', targets=('copies',),
            tool=RCLONE),
    ),
}
WAYS = tuple(way for ways in PARTS.values() for way in ways)
