# SPDX-License-Identifier: Apache-2.0

"""Checksums as iRODS writes them.

The name of the scheme, a colon and base64; but md5 bare and in hexadecimal.
"""

import base64
import binascii

from glance_store import exceptions

# What has another name in hashlib.
_ALGORITHMS = {'sha2': 'sha256'}


def parse(checksum):
    """Return (algorithm, digest) of a checksum.

    :returns: the name that hashlib has for it, or the zone's if it has none;
        and the digest in hexadecimal, or as it is if it cannot be read
    """
    scheme, colon, value = checksum.partition(':')
    if not colon:
        return 'md5', checksum
    algorithm = _ALGORITHMS.get(scheme, scheme)
    try:
        return algorithm, base64.b64decode(value).hex()
    except binascii.Error:
        return algorithm, value


def compare(checksum, algorithm, digest):
    """Compare a checksum with a hash, if both are of one algorithm.

    :param digest: in hexadecimal
    :raises BackendException: if they differ
    """
    found, value = parse(checksum)
    if found == algorithm and value != digest:
        raise exceptions.BackendException(
            f'the object has another {algorithm} than the image'
        )
