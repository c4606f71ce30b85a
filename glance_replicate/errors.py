# SPDX-License-Identifier: Apache-2.0

"""The errors of the client: each text is one sentence for the user."""

# Temporary errors of a server, or of a proxy before it.
PASSING = (408, 429, 500, 502, 503, 504)


class ReplicatorError(Exception):
    """Something failed; the text has no credentials.

    ``may_pass`` is true if another attempt may succeed, ``may_last`` if that
    may take minutes; ``pause`` is how many seconds the server asks to wait,
    or None.
    """

    may_pass = False
    may_last = True
    pause = None


class Refused(ReplicatorError):
    """A server answered with an error.

    :param status: the HTTP status
    :param pause: how many seconds the server asks to wait, or None
    """

    def __init__(self, message, status, pause=None):
        super().__init__(message)
        self.status = status
        self.may_pass = status in PASSING
        self.pause = pause


class Unreachable(ReplicatorError):
    """A server did not answer, or the connection broke.

    :param may_last: the server has answered before
    """

    may_pass = True

    def __init__(self, message, may_last=True):
        super().__init__(message)
        self.may_last = may_last


class Undecided(Unreachable):
    """A server got all bytes, and did not say whether it stored them.

    :param pause: how many seconds the server asks to wait, or None
    """

    def __init__(self, message, pause):
        super().__init__(message)
        self.pause = pause


class GivenUp(ReplicatorError):
    """A temporary error lasted for longer than the user allows."""


class WrongData(ReplicatorError):
    """The bytes that arrived are not those of the image."""


class Vanished(ReplicatorError):
    """The image is not active on the source any more."""


class Stopped(ReplicatorError):
    """The user has asked to stop."""
