# SPDX-License-Identifier: Apache-2.0

"""What a dump consists of: the list of its images, with their hashes.

::

    manifest.json
    images/<id>/image.json
    images/<id>/data

The list tells the size and the hash of each ``data``, and the sha256 of each
``image.json``. Reading believes nothing: whoever could write the directory
could write anything.
"""

import dataclasses
import json

from glance_replicate import folders
from glance_replicate import hashes
from glance_replicate import records
from glance_replicate import text

NAME, IMAGES, METADATA, DATA = 'manifest.json', 'images', 'image.json', 'data'
FORMAT = 'glance-replicate dump'
VERSION = 1
_LARGEST = 256 * 1024 * 1024
_MOST_BYTES = 2 ** 63 - 1
_KEYS = {'size', 'algorithm', 'digest', 'metadata'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """What the list tells of one image.

    :param size: bytes of the data
    :param algorithm: of the hash of the data
    :param digest: that hash
    :param metadata: sha256 of the file with the record
    """

    size: int
    algorithm: str
    digest: str
    metadata: str


def read(folder):
    """Return {image id: :class:`ManifestEntry` or BadDump} of a dump.

    :raises: :class:`BadDump` if it is no list at all
    """
    if not folder.has(NAME):
        raise folders.BadDump(_why_none(folder))
    found = parse(folder.read(NAME, _LARGEST), NAME)
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise folders.BadDump(f'{NAME} is not the list of a dump')
    if type(found.get('version')) is not int or found['version'] != VERSION:
        raise folders.BadDump(f'{NAME} is of a version that is not known')
    images = found.get('images')
    if not isinstance(images, dict):
        raise folders.BadDump(f'{NAME} does not list images')
    return {image_id: _entry(image_id, images[image_id])
            for image_id in images}


def _why_none(folder):
    place = text.safe(folder.path)
    names = {name.removesuffix('.img') for name in folder.names()}
    if any(map(records.is_id, names)):
        return (
            f'{place} holds a dump of the old glance-replicator, which has no '
            f'hashes and is not read: dump the images anew with '
            f'glance-replicate, or upload its files one by one with '
            f'"openstack image create --file"'
        )
    return f'{place} is no dump of glance-replicate: it has no {NAME}'


def write(folder, entries):
    """Replace the list of a dump."""
    folder.write(NAME, encode({
        'format': FORMAT, 'version': VERSION,
        'images': {
            image_id: dataclasses.asdict(entry)
            for image_id, entry in sorted(entries.items())
        },
    }))


def encode(value):
    """Return JSON for a person and a program."""
    return (json.dumps(value, indent=1, sort_keys=True) + '\n').encode()


def parse(data, name):
    """Return what JSON says, as strictly as it was meant.

    :param name: of the file, for the error
    """
    try:
        found = json.loads(
            data.decode('utf-8'), object_pairs_hook=_once,
            parse_constant=_no_constant, parse_float=_no_constant,
        )
        # A lone surrogate can be parsed, but not be sent or shown.
        json.dumps(found, ensure_ascii=False).encode('utf-8')
    except RecursionError:
        raise folders.BadDump(f'{name} is nested too deeply') from None
    except ValueError as exc:
        raise folders.BadDump(f'{name} is not JSON: {exc}') from None
    return found


def _once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('a name comes twice')
    return found


def _no_constant(value):
    raise ValueError(f'{value[:20]} is not a value here')


def _entry(image_id, found):
    """Return a :class:`ManifestEntry`, or the :class:`BadDump` that it is."""
    try:
        return _checked_entry(image_id, found)
    except folders.BadDump as exc:
        return exc


def _checked_entry(image_id, found):
    if not records.is_id(image_id):
        raise folders.BadDump('this is not the id of an image')
    if not isinstance(found, dict) or set(found) != _KEYS:
        raise folders.BadDump(f'its entry in {NAME} is not one')
    size = found['size']
    if type(size) is not int or not 0 <= size <= _MOST_BYTES:
        raise folders.BadDump(f'its size in {NAME} is not one')
    if not hashes.is_hash(found['algorithm'], found['digest']):
        raise folders.BadDump(f'its hash in {NAME} is not one')
    if not hashes.is_hash('sha256', found['metadata']):
        raise folders.BadDump(f'the hash of its record in {NAME} is not one')
    return ManifestEntry(**found)
