# SPDX-License-Identifier: Apache-2.0

"""Hashing a stream, and comparing it with what the image says it is."""

import dataclasses
import functools
import hashlib
import time

from glance_copy_plugin.transfer import errors

# Only algorithms without known collisions: a driver's digest is compared with
# ours, and "equal" should mean what an operator thinks it means.
_CANDIDATES = ('sha256', 'sha512', 'blake2b')
_SAMPLE_BYTES = 1024 * 1024


class Digests:
    """Several digests of one stream, computed in one pass."""

    def __init__(self, algorithms):
        self._hashers = {
            name: hashlib.new(name, usedforsecurity=False)
            for name in algorithms
        }

    def update(self, data):
        for hasher in self._hashers.values():
            hasher.update(data)

    def hexdigests(self):
        """Return ``{algorithm: hex digest}``."""
        return {name: h.hexdigest() for name, h in self._hashers.items()}


@functools.cache
def cheapest_algorithm():
    """Return the name of the fastest sound hash on this machine's CPU.

    With SHA instructions that is sha256, without them sha512 or blake2b, so
    it is measured (a few milliseconds, once per process) and not assumed.
    """
    sample = bytes(_SAMPLE_BYTES)

    def cost(name):
        hasher = hashlib.new(name, usedforsecurity=False)
        hasher.update(sample)
        started = time.thread_time_ns()
        hasher.update(sample)
        return time.thread_time_ns() - started

    return min(_CANDIDATES, key=lambda name: min(cost(name), cost(name)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expected:
    """What the image's record says about its bytes.

    :param size: bytes
    :param algorithm: name of the hash (``os_hash_algo``, or ``md5`` for an
        image that has only a checksum), or None if the record has neither
    :param value: its hex digest
    """

    size: int
    algorithm: str | None = None
    value: str | None = None

    @classmethod
    def of_image(cls, *, size, os_hash_algo, os_hash_value, checksum):
        """Choose the strongest digest of the record that we can compute."""
        if os_hash_value and os_hash_algo in hashlib.algorithms_available:
            return cls(size=size, algorithm=os_hash_algo, value=os_hash_value)
        if checksum:
            return cls(size=size, algorithm='md5', value=checksum)
        return cls(size=size)

    @property
    def algorithms(self):
        return (self.algorithm,) if self.algorithm else ()

    def check(self, hexdigests, *, store):
        """Raise :class:`SourceMismatch` unless the digest is the image's.

        :param hexdigests: what was read, as ``{algorithm: hex digest}``
        :param store: name(s) of the store(s) the bytes came from
        """
        if self.algorithm and hexdigests[self.algorithm] != self.value:
            raise errors.SourceMismatch(
                f'the data has another {self.algorithm} than the image',
                store=store,
            )
