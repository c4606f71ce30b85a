# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
