# SPDX-License-Identifier: Apache-2.0

"""What is a hash, and which of those that are known can be compared here."""

import hashlib

DEFAULT = 'sha512'
_DIGITS = frozenset('0123456789abcdef')


def is_hash(algorithm, value):
    """True if this can be a hash that can be computed here, in lower case."""
    if not isinstance(algorithm, str) or not isinstance(value, str):
        return False
    if algorithm not in hashlib.algorithms_available:
        return False
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    return 0 < length == len(value) and _DIGITS.issuperset(value)


def expectation(image):
    """Return the algorithm to hash an image's bytes with, and its value.

    The value is None for an image whose record has no hash that can be
    computed here.
    """
    for algorithm, value in image.hashes.items():
        if is_hash(algorithm, value):
            return algorithm, value
    return DEFAULT, None
