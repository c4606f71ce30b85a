# SPDX-License-Identifier: Apache-2.0

"""What can go wrong, each in one sentence for a person."""

# With these a server asks to come back later, or a proxy does so for it.
PASSING = (408, 429, 500, 502, 503, 504)


class ReplicatorError(Exception):
    """Something failed; the text is one sentence without credentials.

    ``may_pass`` is true if it is worth trying again, ``may_last`` if that is
    so for minutes, and ``pause`` tells after how many seconds, if that is
    known.
    """

    may_pass = False
    may_last = True
    pause = None


class Refused(ReplicatorError):
    """A server said no.

    :param status: the HTTP status
    :param pause: seconds after which the server wants to be asked again
    """

    def __init__(self, message, status, pause=None):
        super().__init__(message)
        self.status = status
        self.may_pass = status in PASSING
        self.pause = pause


class Unreachable(ReplicatorError):
    """A server did not answer, or the connection broke.

    :param may_last: the server is known to be there
    """

    may_pass = True

    def __init__(self, message, may_last=True):
        super().__init__(message)
        self.may_last = may_last


class Undecided(Unreachable):
    """A server got all bytes, and did not say what became of them.

    :param pause: seconds after which it wants to be asked again, or None
    """

    def __init__(self, message, pause):
        super().__init__(message)
        self.pause = pause


class GivenUp(ReplicatorError):
    """What may pass was tried as long as the user lets it."""


class WrongData(ReplicatorError):
    """Bytes are not those of the image. Never tried again blindly."""


class Vanished(ReplicatorError):
    """The image is not active on the source any more."""


class Stopped(ReplicatorError):
    """The user has asked to stop."""
