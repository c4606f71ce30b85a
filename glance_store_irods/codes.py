# SPDX-License-Identifier: Apache-2.0

"""What the error codes of a zone mean for a store.

A code is a negative number; its last three digits are the system's errno
where there is one. Every code is here that a real server was seen to answer.
"""

import enum
import errno


class Kind(enum.Enum):
    """What can be done about an error."""

    MISSING = 'there is no such object, or the user may not see it'
    EXISTS = 'something has that name'
    MISCONFIGURED = 'an operator has to put it right'
    DENIED = 'the user may not do it'
    FULL = 'there is no space for it'
    # A retry can help, some of them only after a while.
    UNAVAILABLE = 'it may work later'
    OTHER = 'nobody knows'


_BUSY = 'it is being written, or its resource is down'
_NO_SPACE = 'no space left'
_MEANINGS = {
    # What is not there, or is in the way.
    -317000: (Kind.MISSING, ''),
    -358000: (Kind.MISSING, ''),
    -808000: (Kind.MISSING, ''),
    -312000: (Kind.EXISTS, ''),
    -809000: (Kind.EXISTS, ''),
    -833000: (Kind.EXISTS, ''),
    -834000: (Kind.EXISTS, ''),
    -78000: (Kind.MISCONFIGURED, 'there is no such resource'),
    -814000: (Kind.MISCONFIGURED, 'there is no such collection'),
    # What the user may not do.
    -13000: (Kind.DENIED, 'only an administrator of the zone may do it'),
    -121000: (Kind.DENIED, ''),
    -818000: (Kind.DENIED, ''),
    # Space.
    -27000: (Kind.FULL, _NO_SPACE),
    -110000: (Kind.FULL, f'{_NO_SPACE}: the quota is used up'),
    # Resources and locks.
    -105000: (Kind.UNAVAILABLE, 'its resource is down'),
    -130000: (Kind.UNAVAILABLE, 'no usable resource is up'),
    -164000: (Kind.UNAVAILABLE, 'it has no such replica any more'),
    -168000: (Kind.UNAVAILABLE, 'the resource of that replica is down'),
    -345000: (Kind.UNAVAILABLE, 'the server has it open no more'),
    -406000: (Kind.UNAVAILABLE, _BUSY),
    -1803000: (Kind.UNAVAILABLE, _BUSY),
    # What a request should not have asked for.
    -14000: (Kind.OTHER, 'the server does not offer this'),
    -31000: (Kind.OTHER, 'the path is not absolute'),
    -109000: (Kind.OTHER, 'it lies in another zone'),
    -169000: (Kind.OTHER, 'there is a good replica already'),
    -314000: (Kind.OTHER, 'a checksum is not what was recorded'),
}
_ERRNOS = {
    errno.EEXIST: (Kind.EXISTS, ''),
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (Kind.FULL, _NO_SPACE)
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), (Kind.DENIED, '')
    ),
}
# A server's agent reads once which resources there are and which are up.
_OF_RESOURCES = {-78000, -130000, -168000, -1803000}
_OUT_OF_STEP = {-345000}


def nominal(code):
    """Return the code without the system's errno."""
    return -(abs(code) // 1000 * 1000)


def errno_of(code):
    """Return the system's errno in a code; 0 if there is none."""
    return abs(code) % 1000


def meaning(code):
    """Return (Kind, a few words) of a code; the words may be empty."""
    return _MEANINGS.get(nominal(code)) or _ERRNOS.get(
        errno_of(code), (Kind.OTHER, '')
    )


def may_be_outdated(code):
    """Tell whether a new connection may know better about the resources."""
    return nominal(code) in _OF_RESOURCES


def is_out_of_step(code):
    """Tell whether the connection cannot be used any more."""
    return nominal(code) in _OUT_OF_STEP
