# SPDX-License-Identifier: Apache-2.0

"""The record of an image in a dump: written, read, and not believed."""

import hashlib

from glance_replicate import errors
from glance_replicate import folders
from glance_replicate import hashes
from glance_replicate import manifest
from glance_replicate import records
from glance_replicate import text

LARGEST = 64 * 1024 * 1024
_VISIBILITIES = ('public', 'private', 'shared', 'community')
_MOST = 2 ** 63 - 1
_KEYS = {
    'id', 'base', 'properties', 'tags', 'owner', 'members', 'checksum',
    'created_at',
}


def encode(image, members):
    """Return the bytes of the file for an :class:`Image`.

    :raises: :class:`ReplicatorError` if there are more than can be read
    """
    checksum = image.checksum
    found = manifest.encode({
        'id': image.id, 'base': dict(image.base),
        'properties': dict(image.properties), 'tags': sorted(image.tags),
        'owner': image.owner, 'members': sorted(members),
        'checksum': checksum if hashes.is_hash('md5', checksum) else None,
        'created_at': image.created_at,
    })
    if len(found) > LARGEST:
        raise errors.ReplicatorError(
            f'its properties are larger than {text.size(LARGEST)}'
        )
    return found


def decode(data, image_id, entry):
    """Return the :class:`Image` that a file tells of, and its members.

    Texts may be whatever an image can have: they are made harmless where
    they are shown.

    :param entry: :class:`ManifestEntry` of the list for the image
    :raises: :class:`BadDump` for anything that ``encode`` does not write
    """
    if hashlib.sha256(data).hexdigest() != entry.metadata:
        raise folders.BadDump(
            f'its {manifest.METADATA} is not the one that {manifest.NAME} '
            f'tells of'
        )
    found = manifest.parse(data, f'its {manifest.METADATA}')
    if not isinstance(found, dict) or set(found) != _KEYS:
        raise _bad('fields')
    if found['id'] != image_id:
        raise _bad('id')
    if found['checksum'] is not None and not hashes.is_hash(
        'md5', found['checksum']
    ):
        raise _bad('checksum')
    for name in ('owner', 'created_at'):
        if not _is_text_or_none(found[name]):
            raise _bad(name)
    image = records.Image(
        id=image_id, status='active', size=entry.size,
        algorithm=entry.algorithm, digest=entry.digest,
        checksum=found['checksum'], owner=found['owner'],
        base=_base(found['base']), properties=_properties(
            found['properties']
        ),
        tags=frozenset(_texts(found['tags'], 'tags')), stores=(),
        created_at=found['created_at'] or '',
    )
    return image, set(_texts(found['members'], 'members'))


def _base(found):
    if not isinstance(found, dict) or set(found) != set(records.BASE):
        raise _bad('base')
    for name in ('name', 'disk_format', 'container_format'):
        if not _is_text_or_none(found[name]):
            raise _bad(name)
    for name in ('min_disk', 'min_ram'):
        if type(found[name]) is not int or not 0 <= found[name] <= _MOST:
            raise _bad(name)
    for name in ('protected', 'os_hidden'):
        if type(found[name]) is not bool:
            raise _bad(name)
    if found['visibility'] not in _VISIBILITIES:
        raise _bad('visibility')
    return found


def _properties(found):
    if not isinstance(found, dict):
        raise _bad('properties')
    for name, value in found.items():
        if name in records.OWN or name.startswith(records.RESERVED):
            raise _bad('names of properties')
        if not _is_text_or_none(value):
            raise _bad('values of properties')
    return found


def _texts(found, what):
    if not isinstance(found, list) or not all(
        isinstance(each, str) for each in found
    ):
        raise _bad(what)
    return found


def _is_text_or_none(value):
    return value is None or isinstance(value, str)


def _bad(what):
    return folders.BadDump(
        f'its {manifest.METADATA} has {what} that dump does not write'
    )
