# SPDX-License-Identifier: Apache-2.0

"""What can go wrong, each in one sentence for a person."""


class ReplicatorError(Exception):
    """Something failed; the text is one sentence without credentials."""


class Refused(ReplicatorError):
    """A server said no.

    :param status: the HTTP status
    """

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


class Unreachable(ReplicatorError):
    """A server did not answer, or the connection broke."""


class WrongData(ReplicatorError):
    """Bytes are not those of the image. Never tried again blindly."""


class Vanished(ReplicatorError):
    """The image is not active on the source any more."""


class Stopped(ReplicatorError):
    """The user has asked to stop."""
