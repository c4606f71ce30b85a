# SPDX-License-Identifier: Apache-2.0

"""Encryption keys that images name, and who may delete them.

Glance deletes the key of an encrypted volume together with an image whose
properties say so. The key of a copy is that of the original.
"""

_IDS = ('cinder_encryption_key_id', 'os_encrypt_key_id')
POLICIES = (
    'cinder_encryption_key_deletion_policy', 'os_encrypt_key_deletion_policy',
)


def of(properties):
    """Return the ids of the keys that an image cannot be read without."""
    return tuple(filter(None, map(properties.get, _IDS)))


def are_owned_by(name):
    """True for a property that lets a key be deleted with its image."""
    return name in POLICIES
