# SPDX-License-Identifier: Apache-2.0

"""What a handler gives back to be sent to the client."""

import dataclasses


@dataclasses.dataclass
class FileSlice:
    """Raw bytes of a reply: a part of an open file."""

    descriptor: int
    offset: int
    count: int


@dataclasses.dataclass
class Reply:
    """What an operation answers."""

    info: int = 0
    message: str = ''
    body: FileSlice | None = None
