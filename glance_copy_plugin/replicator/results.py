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
    :param copy_id: id of the copy, where it is not the image's
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
