# SPDX-License-Identifier: Apache-2.0

"""Bytes to copy, and what an image's record would say about them."""

import hashlib
import random

from glance_copy_plugin.transfer import digests


def some(size, seed=1):
    """Return ``size`` bytes of noise, the same ones each time."""
    return random.Random(seed).randbytes(size)  # noqa: S311


def sha512(data):
    return hashlib.sha512(data).hexdigest()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def expected(data):
    """Return what the record of the image ``data`` says."""
    return digests.Expected(
        size=len(data), algorithm='sha512', value=sha512(data)
    )


def flipped(data, position):
    """Return ``data`` with one bit turned over."""
    wrong = bytearray(data)
    wrong[position] ^= 1
    return bytes(wrong)
