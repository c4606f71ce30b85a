# SPDX-License-Identifier: Apache-2.0

"""Test images: made, described and hashed."""

import hashlib
import random

MIB = 1024 * 1024
UNITS = {'': 1, 'K': 1024, 'M': MIB, 'G': 1024 * MIB}
# Glance's names of the formats that oslo.utils recognises by another name.
DISK_FORMATS = {'vpc': 'vhd', 'gpt': 'raw', 'luks': 'raw'}


def parse_size(text):
    """Turn a size like ``256M`` into bytes."""
    text = text.strip().upper().removesuffix('B').removesuffix('I')
    number = text.rstrip('KMG')
    unit = text[len(number):]
    if not number.isdigit() or unit not in UNITS or not int(number):
        raise ValueError(f'"{text}" is no size; write it like 256M or 2G')
    return int(number) * UNITS[unit]


def show_size(count):
    """Write a number of bytes for a person."""
    if count >= 1024 * MIB:
        return f'{count / 1024 / MIB:.3g} GiB'
    return f'{count / MIB:.3g} MiB'


def make_image(path, size, zeroes=False):
    """Write ``size`` bytes: two thirds random, one third repetitive.

    :param zeroes: every other 64 MiB are zeroes instead
    """
    source = random.Random(size)  # noqa: S311 - test data, not a secret
    left = size
    with path.open('wb') as stream:
        for number in range(-(-size // MIB)):
            if zeroes and number // 64 % 2:
                block = bytes(MIB)
            elif number % 3 == 2:
                block = source.randbytes(4096) * (MIB // 4096)
            else:
                block = source.randbytes(MIB)
            stream.write(block[:left])
            left -= MIB


def file_hash(path, algorithm='sha512'):
    """Return a file's hash in hexadecimal."""
    with open(path, 'rb') as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def disk_format(path):
    """Return what Glance calls the format of an image file."""
    from oslo_utils.imageutils import format_inspector

    try:
        found = str(format_inspector.detect_file_format(path))
    except format_inspector.ImageFormatError:
        return 'raw'
    return DISK_FORMATS.get(found, found)
